// One entry of the browser's history per visit of a page. Streamlit pushes an entry for each parameter that it writes
// into the address itself, and, before another page comes, one that has lost the parameters of the page that is left;
// going back then ends in states that nobody chose. Here an address that differs in its parameters alone replaces the
// entry, and nothing touches the entry of a page that is being left: by a link, or by the server, which then marks
// the address.
const MARK = "leaving"
const LONGEST_MS = 15000
const installed = Symbol.for("whalecam.history")

export default function () {
  if (window[installed]) return
  window[installed] = true
  const { history } = window
  const push = history.pushState.bind(history)
  const replace = history.replaceState.bind(history)
  let done = null
  let until = 0
  const isLeaving = () => performance.now() < until
  const leave = () => (until = performance.now() + LONGEST_MS)
  const write = (state, title, address) => {
    const { target, mark } = parsed(address)
    if (target.pathname === window.location.pathname) {
      if (mark && mark !== done) leave()
      if (!isLeaving()) replace(state, title, target)
      return
    }
    done = mark ?? done
    until = 0
    push(state, title, target)
  }
  history.pushState = write
  history.replaceState = (state, title, address) => {
    if (!isLeaving()) replace(state, title, parsed(address).target)
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

// An address without the mark, and without parameters that stand in it twice with one value, as after a link that
// repeats those of its page.
function parsed(address) {
  const target = new URL(address ?? window.location.href, window.location.href)
  const mark = target.searchParams.get(MARK)
  const pairs = target.search.slice(1).split("&").filter((pair) => pair && !pair.startsWith(`${MARK}=`))
  target.search = [...new Set(pairs)].join("&")
  return { target, mark }
}
