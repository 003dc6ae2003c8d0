const done = new Set()
export default function ({ data }) {
  if (!data.ticket || done.has(data.ticket)) return
  done.add(data.ticket)
  const bytes = Uint8Array.from(atob(data.content), (letter) => letter.charCodeAt(0))
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([bytes], { type: data.mime }))
  link.download = data.name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}
