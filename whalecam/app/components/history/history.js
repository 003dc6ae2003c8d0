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
    const target = parsed(address)
    if (target.pathname === window.location.pathname) {
      if (!isLeaving()) replace(state, title, target)
      return
    }
    until = 0
    push(state, title, target)
  }
  history.replaceState = (state, title, address) => {
    if (!isLeaving()) replace(state, title, parsed(address))
  }
  document.addEventListener("click", (event) => leadsAway(event) && leave(), true)
  window.addEventListener("popstate", () => (until = 0))
}

// Whether a click follows a link to another page in this tab.
function leadsAway(event) {
  const link = event.composedPath().find((each) => each.tagName === "A" && each.href)
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || link.target === "_blank") return false
  const target = new URL(link.href, window.location.href)
  return target.origin === window.location.origin && target.pathname !== window.location.pathname && !link.download
}

// An address without parameters that stand in it twice with one value, as after a link that repeats those of its page.
function parsed(address) {
  const target = new URL(address ?? window.location.href, window.location.href)
  target.search = [...new Set(target.search.slice(1).split("&").filter(Boolean))].join("&")
  return target
}
