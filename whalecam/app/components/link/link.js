const place = "whalecam.link"
export default function ({ data }) {
  const here = location.pathname + location.search
  if (data.locked) return sessionStorage.setItem(place, here)
  const wanted = sessionStorage.getItem(place)
  sessionStorage.removeItem(place)
  if (wanted && wanted !== here && wanted.startsWith("/") && !wanted.startsWith("//")) location.replace(wanted)
}
