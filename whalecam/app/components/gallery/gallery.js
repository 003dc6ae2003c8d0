import { watchSettings } from "../shared/address.js"
import { watchBare } from "../shared/bare.js"
import { element } from "../shared/elements.js"
import { report } from "../shared/events.js"
import { tablesOf } from "../shared/evidence.js"
import { keyIsOurs, keyOf, reasonKey } from "../shared/keys.js"
import { settingsOf } from "../shared/settings.js"
import { touched, watchBand } from "./band.js"
import { heat, makeCard } from "./card.js"
import { keptScale, SCALES, keepScale } from "./density.js"
import { isOtherPage, nearestSelected, placeAfter, placeAmong, placeBehind } from "./places.js"
import { holdAt, isBack, keptOf, knownOf, standing } from "./returning.js"
import { countWords, hintWords, inOrder, rangeOf, targetsOf, toggled } from "./selection.js"
import { skipButton } from "./skip.js"
import { afterOutcome, stepOf, verdictOf, withPress } from "./verdicts.js"

const galleries = new WeakMap()
// Selection, cursor and focus outlive a remount in the same page (a message above the gallery comes or goes), however
// busy the browser is with it, and a visit of another page that Back ends; by gallery key.
const remembered = new Map()
const REST_MS = 250

export default function (component) {
  const { parentElement, data } = component
  let own = galleries.get(parentElement)
  if (!own) {
    own = build(parentElement.querySelector(".gallery"), data)
    galleries.set(parentElement, own)
  }
  own.send = component.setStateValue
  own.trigger = (name, value) => report(component, name, value)
  show(own, data)
  return () => {
    own.stop()
    galleries.delete(parentElement)
  }
}

function build(root, data) {
  root.replaceChildren()
  const own = { root, cards: [], cursor: 0, anchor: 0, presses: [], timer: 0, settings: settingsOf(location.search), path: location.pathname }
  const bar = element(root, "div", "bar")
  own.count = element(bar, "span", "count")
  own.all = element(bar, "button", "", "Select all")
  own.none = element(bar, "button", "", "Clear")
  own.hint = element(bar, "span", "hint")
  own.grid = element(root, "div", "grid")
  density(own, bar)
  own.grid.setAttribute("role", "listbox")
  own.grid.setAttribute("aria-label", "Images")
  const back = isBack()
  const before = keptOf(remembered.get(data.key), { path: location.pathname, now: Date.now(), back })
  own.selected = new Set(before?.selected)
  own.sent = knownOf(before)
  own.start = before?.cursor
  // Focus that has gone elsewhere meanwhile stays there.
  own.takesFocus = Boolean(before?.keepsFocus) && isNowhere()
  own.outcome = before ? before.outcome : data.outcome?.id
  own.stood = back ? before?.stood : undefined
  own.all.onclick = () => select(own, imagesOf(own))
  own.none.onclick = () => select(own, [])
  const onKey = (event) => press(own, event)
  // Python knows the selection before a button outside acts on it.
  const note = () => (own.stands = standing(own.cards))
  const onPoint = (event) => {
    note()
    if (event.composedPath().includes(own.grid)) return
    own.keepsFocus = false
    tell(own)
  }
  document.addEventListener("keydown", onKey)
  document.addEventListener("pointerdown", onPoint, true)
  addEventListener("popstate", note)
  own.grid.addEventListener("focusin", () => {
    own.keepsFocus = true
    describe(own)
  })
  own.grid.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !own.grid.contains(event.relatedTarget)) own.keepsFocus = false
    // A message that comes above moves the gallery in the document, and whatever is moved loses the focus to nothing.
    setTimeout(() => own.keepsFocus && isNowhere() && own.cards[own.cursor]?.root.focus({ preventScroll: true }))
    tell(own)
    describe(own)
  })
  const repaint = () => own.cards.forEach((card) => heat(own, card))
  const unwatch = watchSettings((settings) => {
    own.settings = { ...settings, isBare: own.settings.isBare }
    repaint()
  })
  const unwatchBare = watchBare((event) => own.cards.length && keyIsOurs(event, own.grid), (isBare) => {
    own.settings = { ...own.settings, isBare }
    repaint()
  })
  dragging(own)
  const unskip = data.selectable ? skipButton(root, () => move(own, own.cursor, true)) : () => {}
  own.stop = () => {
    document.removeEventListener("keydown", onKey)
    document.removeEventListener("pointerdown", onPoint, true)
    removeEventListener("popstate", note)
    unwatch()
    unwatchBare()
    unskip()
    clearTimeout(own.timer)
    const [selected, cursor] = [[...own.selected], own.cards[own.cursor]?.image]
    const { outcome, keepsFocus, path, stands: stood } = own
    const untold = isUntold(own)
    remembered.set(own.data.key, { selected, untold, cursor, outcome, keepsFocus, path, stood, left: Date.now() })
  }
  return own
}

// A frame that is dragged over the cards selects those that it touches; with Shift or Ctrl, beside those before.
function dragging(own) {
  let before = []
  let places = []
  watchBand(own.grid, {
    begin: (event) => {
      before = event.shiftKey || event.ctrlKey || event.metaKey ? [...own.selected] : []
      return own.data.selectable
    },
    drawn: (band) => {
      places = touched(own.cards.map((card) => boxOf(card.root)), band)
      select(own, [...before, ...places.map((place) => own.cards[place].image)])
    },
    ended: () => {
      if (!places.length) return
      own.anchor = places[0]
      move(own, places.at(-1), true)
    },
  })
}

// Where a card lies in its grid.
function boxOf({ offsetLeft: left, offsetTop: top, offsetWidth, offsetHeight }) {
  return { left, top, right: left + offsetWidth, bottom: top + offsetHeight }
}

// How large the cards are, which is a matter of one's screen: kept by the browser, in no link.
function density(own, bar) {
  const label = element(bar, "label", "size")
  element(label, "span", "", "Card size")
  const field = element(label, "input")
  Object.assign(field, { type: "range", ...SCALES, value: keptScale() })
  field.setAttribute("aria-label", "Card size")
  const draw = () => own.grid.style.setProperty("--scale", field.value)
  field.oninput = () => {
    draw()
    keepScale(field.value)
  }
  draw()
}

// Lay out new cards, keeping the elements of those that did not change, the cursor and the focus.
function show(own, data) {
  const focused = hasFocus(own) || own.takesFocus
  own.takesFocus = false
  const shown = imagesOf(own)
  const before = new Map(own.cards.map((card) => [card.text, card]))
  const outcome = data.outcome && data.outcome.id !== own.outcome ? data.outcome : null
  if (outcome) prepare(own, outcome)
  own.data = data
  own.tableOf = tablesOf(data.tables)
  own.root.classList.toggle("selectable", data.selectable)
  own.grid.setAttribute("aria-multiselectable", String(data.selectable))
  own.grid.style.setProperty("--card", `${data.columns}px`)
  own.grid.style.setProperty("--grow", data.columns / 1500)
  own.cards = data.cards.map((card) => {
    const text = JSON.stringify(card)
    const known = before.get(text)
    before.delete(text)
    return known || makeCard(own, { ...card, text }, handlersOf(own))
  })
  own.grid.replaceChildren(...own.cards.map((card) => card.root))
  if (shown.length && isOtherPage(shown, imagesOf(own))) toTop(own)
  own.cursor = placeAmong(imagesOf(own), { shown, cursor: own.cursor, start: own.start })
  own.cards.forEach((card) => heat(own, card))
  select(own, own.selected)
  if (focused || outcome) own.cards[own.cursor]?.root.focus({ preventScroll: true })
  if (outcome) own.cards[own.cursor]?.root.scrollIntoView({ block: "nearest" })
  standAsBefore(own)
  describe(own)
}

function standAsBefore(own) {
  const card = own.stood && own.cards.find((each) => each.image === own.stood.image)
  if (card) holdAt(card.root, own.stood.top)
  own.stood = undefined
}

// The next page begins with its first card, however far down its button was pressed.
function toTop(own) {
  if (own.root.getBoundingClientRect().top < 0) own.root.scrollIntoView({ block: "start" })
}

function handlersOf(own) {
  return {
    click: (card, event) => click(own, card, event),
    open: (card) => open(own, card),
    focus: (card) => move(own, own.cards.indexOf(card), false),
  }
}

function imagesOf(own) {
  return own.cards.map((card) => card.image)
}

function prepare(own, outcome) {
  const before = { ...own, images: imagesOf(own), hasFocus: hasFocus(own) }
  Object.assign(own, afterOutcome(before, outcome), { outcome: outcome.id, presses: [] })
}

// Whether nothing of the page has the focus.
function isNowhere() {
  return [null, document.body].includes(document.activeElement)
}

function hasFocus(own) {
  return own.grid.contains(own.grid.getRootNode().activeElement)
}

function click(own, card, event) {
  const index = own.cards.indexOf(card)
  move(own, index, true)
  if (!own.data.selectable) {
    open(own, card)
    return
  }
  if (!event.shiftKey) {
    toggle(own, index)
    if (!own.selected.has(card.image)) move(own, nearestSelected(imagesOf(own), own.selected, index), true)
    return
  }
  select(own, [...own.selected, ...rangeOf(imagesOf(own), own.anchor, index)])
}

function toggle(own, index) {
  own.anchor = index
  select(own, toggled(own.selected, own.cards[index].image))
}

// Make `images` the selection, drop what is not shown, and tell Python once the hand rests.
function select(own, images) {
  const shown = new Set(imagesOf(own))
  own.selected = new Set(own.data.selectable ? [...images].filter((image) => shown.has(image)) : [])
  own.cards.forEach((card, index) => {
    const chosen = own.selected.has(card.image)
    card.root.classList.toggle("selected", chosen)
    card.root.setAttribute("aria-selected", String(chosen))
    card.root.classList.toggle("current", card.image === own.data.current)
    card.root.tabIndex = index === own.cursor ? 0 : -1
  })
  const chosen = selectedInOrder(own)
  own.count.textContent = countWords(chosen, own.cards.length)
  own.none.disabled = !chosen.length
  describe(own)
  clearTimeout(own.timer)
  own.timer = setTimeout(() => tell(own), REST_MS)
}

function selectedInOrder(own) {
  return inOrder(imagesOf(own), own.selected)
}

function describe(own) {
  own.hint.textContent = hintWords(targets(own, hasFocus(own)), own.data.openable, own.data.reasons)
}

function tell(own) {
  clearTimeout(own.timer)
  if (!isUntold(own)) return
  const chosen = selectedInOrder(own)
  own.sent = JSON.stringify(chosen)
  own.send("selected", chosen)
}

function isUntold(own) {
  return JSON.stringify(selectedInOrder(own)) !== own.sent
}

// Another page comes next: a selection that is told meanwhile would ask the server for the page that is left.
function open(own, card) {
  if (!own.data.openable) return
  clearTimeout(own.timer)
  own.stands = standing(own.cards)
  own.trigger("opened", card.image)
}

function move(own, index, focus) {
  if (!own.cards[index]) return
  own.cursor = index
  own.cards.forEach((card, i) => (card.root.tabIndex = i === index ? 0 : -1))
  if (focus) own.cards[index].root.focus({ preventScroll: true })
  if (focus) own.cards[index].root.scrollIntoView({ block: "nearest" })
  describe(own)
}

// Keys: arrows, Enter, space and x belong to the grid with the focus; verdict keys work all over the page.
function press(own, event) {
  if (!own.cards.length || !keyIsOurs(event, own.grid)) return
  const inside = event.composedPath().includes(own.grid)
  const key = keyOf(event)
  if (!(inside && walk(own, key)) && !judge(own, key, inside)) return
  event.preventDefault()
}

function walk(own, key) {
  const columns = getComputedStyle(own.grid).gridTemplateColumns.split(" ").length
  const place = placeAfter(key, { cursor: own.cursor, count: own.cards.length, columns })
  if (place !== undefined) move(own, place, true)
  else if (key === "Enter") open(own, own.cards[own.cursor])
  else if ((key === "x" || key === " ") && own.data.selectable) toggle(own, own.cursor)
  else if (key === "Escape") select(own, [])
  else return false
  return true
}

// A verdict's images are those of this moment. The cursor moves on at once, so that the next key signs the next image
// however late Python is.
function judge(own, key, inside) {
  if (!own.data.selectable) return false
  const step = stepOf(key) || reasonKey(key, own.data.reasons)
  if (step) {
    own.trigger("pressed", { name: step, images: [] })
    return true
  }
  const name = verdictOf(key)
  const images = targets(own, inside)
  if (!name || !images.length) return false
  const before = { selected: [...own.selected], cursor: own.cards[own.cursor].image }
  own.presses = withPress(own.presses, { images, ...before, at: Date.now() })
  own.trigger("pressed", { name, images })
  const next = placeBehind(imagesOf(own), images, own.cursor)
  select(own, [])
  move(own, next, true)
  return true
}

function targets(own, inside) {
  return targetsOf(imagesOf(own), own.selected, inside ? own.cards[own.cursor]?.image : undefined)
}
