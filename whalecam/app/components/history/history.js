import { leadsAway, withoutRepeats } from "./addresses.js"

// One entry of the browser's history per visit of a page. Streamlit pushes an entry for each parameter that it writes
// into the address itself, and, before another page comes, one that has lost the parameters of the page that is left;
// going back then ends in states that nobody chose. Here an address that differs in its parameters alone replaces the
// entry, and nothing touches the entry of a page that is being left by a link.
const LONGEST_MS = 15000
const installed = Symbol.for("whalecam.history")

export default function () {
  if (window[installed]) return
  window[installed] = true
  const { history } = window
  const push = history.pushState.bind(history)
  const replace = history.replaceState.bind(history)
  let until = 0
  const isLeaving = () => performance.now() < until
  const leave = () => (until = performance.now() + LONGEST_MS)
  history.pushState = (state, title, address) => {
    const target = withoutRepeats(address, window.location.href)
    if (target.pathname === window.location.pathname) {
      if (!isLeaving()) replace(state, title, target)
      return
    }
    until = 0
    push(state, title, target)
  }
  history.replaceState = (state, title, address) => {
    if (!isLeaving()) replace(state, title, withoutRepeats(address, window.location.href))
  }
  document.addEventListener("click", (event) => leadsAway(event, window.location.href) && leave(), true)
  window.addEventListener("popstate", () => (until = 0))
}
