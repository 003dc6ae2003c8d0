// One entry of the browser's history per visit of a page. Streamlit pushes an entry for each parameter that it writes
// into the address itself, and on leaving a page one that has lost the parameters of the page that is left; going back
// then ends in states that nobody chose. Here an address that differs in its parameters alone replaces the entry, once
// the script has ended and no other page has followed.
const PATIENCE_MS = 150
const installed = Symbol.for("whalecam.history")

export default function () {
  if (window[installed]) return
  window[installed] = true
  const { history } = window
  const push = history.pushState.bind(history)
  const replace = history.replaceState.bind(history)
  let waiting = null
  const forget = () => {
    clearTimeout(waiting?.timer)
    waiting = null
  }
  const wait = (target) => {
    forget()
    waiting = { target, timer: setTimeout(settle, PATIENCE_MS) }
  }
  const settle = () => {
    if (isRunning()) return wait(waiting.target)
    const { target } = waiting
    forget()
    replace({}, "", target)
  }
  history.pushState = (state, title, address) => {
    const target = addressOf(address)
    forget()
    if (target.pathname !== window.location.pathname) return push(state, title, target)
    wait(target)
  }
  history.replaceState = (state, title, address) => {
    const target = addressOf(address)
    if (waiting) takeOver(waiting.target, new URL(window.location.href), target)
    replace(state, title, target)
  }
  window.addEventListener("popstate", forget)
}

function isRunning() {
  return document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "running"
}

// The address without parameters that stand in it twice with one value, as after a link that repeats those of its page.
function addressOf(address) {
  const target = new URL(address ?? window.location.href, window.location.href)
  const pairs = target.search.slice(1).split("&").filter(Boolean)
  target.search = [...new Set(pairs)].join("&")
  return target
}

// What a person changes while an address waits holds for that address too.
function takeOver(target, before, after) {
  const names = new Set([...before.searchParams.keys(), ...after.searchParams.keys()])
  for (const name of names) {
    const values = after.searchParams.getAll(name)
    if (String(values) === String(before.searchParams.getAll(name))) continue
    target.searchParams.delete(name)
    values.forEach((value) => target.searchParams.append(name, value))
  }
}
