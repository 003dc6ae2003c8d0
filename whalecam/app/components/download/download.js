import { bytesOf } from "../shared/bytes.js"

const done = new Set()
export default function ({ data }) {
  if (!data.ticket || done.has(data.ticket)) return
  done.add(data.ticket)
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([bytesOf(data.content)], { type: data.mime }))
  link.download = data.name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}
