import { settingsOf } from "./settings.js"

// Call `changed(settings)` whenever the URL asks for another look. No server is involved. Returns a way to stop.
export function watchSettings(changed) {
  let last = JSON.stringify(settingsOf(location.search))
  const look = () => {
    const now = settingsOf(location.search)
    if (JSON.stringify(now) === last) return
    last = JSON.stringify(now)
    changed(now)
  }
  if (window.navigation) {
    window.navigation.addEventListener("currententrychange", look)
    return () => window.navigation.removeEventListener("currententrychange", look)
  }
  const timer = setInterval(look, 150)
  return () => clearInterval(timer)
}
