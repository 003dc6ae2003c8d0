import { leadsOn } from "./wanted.js"

const place = "whalecam.link"

export default function ({ data }) {
  const here = location.pathname + location.search
  if (data.locked) return sessionStorage.setItem(place, here)
  const wanted = sessionStorage.getItem(place)
  sessionStorage.removeItem(place)
  if (leadsOn(wanted, here)) location.replace(wanted)
}
