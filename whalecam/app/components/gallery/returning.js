// A list that is left and come back to, as by the browser's Back, is as it was: its selection, its cursor, its height.
const STAYS_MS = 10000
const BACK_MS = 15000
const HOLDS_MS = 2500
const HEADER_PX = 60
const HANDS = ["wheel", "pointerdown", "keydown", "touchstart"]
let backAt = -Infinity
globalThis.addEventListener?.("popstate", () => (backAt = performance.now()))

// Whether the browser's history has just led here.
export function isBack() {
  return performance.now() - backAt < BACK_MS
}

// What was noted of a list, where it still holds: on the same page, soon after a remount, or after Back whenever.
export function keptOf(last, { path, now, back }) {
  return last && last.path === path && (back || now - last.left < STAYS_MS) ? last : null
}

// What Python has of the selection of a list that is built, as JSON: none, or nothing known where a list was left before
// it could tell, so that what was selected last is told, an empty selection too.
export function knownOf(last) {
  return last?.untold ? "" : "[]"
}

// The first card below the page's header, and how far down the window it begins.
export function standing(cards) {
  const card = cards.find((each) => each.root.getBoundingClientRect().bottom > HEADER_PX)
  return card && { image: card.image, top: card.root.getBoundingClientRect().top }
}

// Keep an element so far down the window while what is above it is still being drawn, until somebody acts.
export function holdAt(root, top) {
  const scroller = scrollerOf(root)
  const until = performance.now() + HOLDS_MS
  const free = new AbortController()
  for (const name of HANDS) addEventListener(name, () => free.abort(), { signal: free.signal, capture: true })
  const hold = () => {
    if (free.signal.aborted || !root.isConnected || performance.now() > until) return free.abort()
    scroller.scrollTop += root.getBoundingClientRect().top - top
    requestAnimationFrame(hold)
  }
  hold()
}

function scrollerOf(root) {
  for (let each = root; each; each = each.parentElement ?? each.getRootNode().host) {
    if (["auto", "scroll"].includes(getComputedStyle(each).overflowY)) return each
  }
  return document.scrollingElement
}
