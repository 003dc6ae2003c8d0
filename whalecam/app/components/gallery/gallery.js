const galleries = new WeakMap()
// Selections outlive a remount in the same page (a message above the gallery comes or goes); by gallery key.
const remembered = new Map()
const WORDS = { flag: "flagged", keep: "kept", unsure: "unsure" }
const VERDICT_KEYS = { f: "flag", k: "keep", u: "unsure" }
const STEP_KEYS = { z: "undo", y: "redo" }
const FIELD = 96

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
  const own = { root, cards: [], cursor: 0, anchor: 0, presses: [], sent: "[]", timer: 0, settings: settingsOf(location.search) }
  const bar = element(root, "div", "bar")
  own.count = element(bar, "span", "count")
  own.all = element(bar, "button", "", "Select all")
  own.none = element(bar, "button", "", "Clear")
  own.hint = element(bar, "span", "hint")
  own.grid = element(root, "div", "grid")
  own.grid.setAttribute("role", "listbox")
  const last = remembered.get(data.key)
  const before = last && last.path === location.pathname && Date.now() - last.left < 3000 ? last : null
  own.selected = new Set(before?.selected)
  own.start = before?.cursor
  own.outcome = before ? before.outcome : data.outcome?.id
  own.all.onclick = () => select(own, own.cards.map((card) => card.image))
  own.none.onclick = () => select(own, [])
  const onKey = (event) => press(own, event)
  // Python knows the selection before a button outside acts on it.
  const onPoint = (event) => event.composedPath().includes(own.grid) || tell(own)
  document.addEventListener("keydown", onKey)
  document.addEventListener("pointerdown", onPoint, true)
  own.grid.addEventListener("focusin", () => describe(own))
  own.grid.addEventListener("focusout", () => {
    tell(own)
    describe(own)
  })
  const unwatch = watchSettings((settings) => {
    own.settings = settings
    own.cards.forEach((card) => heat(own, card))
  })
  own.stop = () => {
    document.removeEventListener("keydown", onKey)
    document.removeEventListener("pointerdown", onPoint, true)
    unwatch()
    clearTimeout(own.timer)
    const [selected, cursor] = [[...own.selected], own.cards[own.cursor]?.image]
    remembered.set(own.data.key, { selected, cursor, outcome: own.outcome, path: location.pathname, left: Date.now() })
  }
  return own
}

// Lay out new cards, keeping the elements of those that did not change, the cursor and the focus.
function show(own, data) {
  const focused = hasFocus(own)
  const shown = own.cards
  const before = new Map(own.cards.map((card) => [card.text, card]))
  const outcome = data.outcome && data.outcome.id !== own.outcome ? data.outcome : null
  if (outcome) prepare(own, outcome)
  own.data = data
  own.tableOf = tablesOf(data.tables)
  own.root.classList.toggle("selectable", data.selectable)
  own.grid.setAttribute("aria-multiselectable", String(data.selectable))
  own.grid.style.setProperty("--card", `${data.columns}px`)
  own.cards = data.cards.map((card) => {
    const text = JSON.stringify(card)
    const known = before.get(text)
    before.delete(text)
    return known || makeCard(own, { ...card, text })
  })
  own.grid.replaceChildren(...own.cards.map((card) => card.root))
  own.cursor = placeOf(own, shown)
  own.cards.forEach((card) => heat(own, card))
  select(own, own.selected)
  if (focused || outcome) own.cards[own.cursor]?.root.focus({ preventScroll: true })
  if (outcome) own.cards[own.cursor]?.root.scrollIntoView({ block: "nearest" })
  describe(own)
}

// Where the cursor belongs among the new cards: on its card; where that has left, on the next one that is still here,
// else behind the last one before it, where the cards of the next page move up.
function placeOf(own, shown) {
  const at = new Map(own.cards.map((card, index) => [card.image, index]))
  if (!shown.length) return at.get(own.start) ?? 0
  const next = shown.slice(own.cursor).find((card) => at.has(card.image))
  if (next) return at.get(next.image)
  const previous = shown.slice(0, own.cursor).findLast((card) => at.has(card.image))
  return previous ? Math.min(at.get(previous.image) + 1, own.cards.length - 1) : 0
}

// What came of a verdict. Signed by a button: its images are selected no more, and the cursor moves on, unless somebody
// has moved it since. Refused by Python: the selection and the cursor are where they were when the key was pressed.
function prepare(own, outcome) {
  own.outcome = outcome.id
  const press = own.presses.find((press) => outcome.images.some((image) => press.images.includes(image)))
  if (outcome.state === "signed") {
    own.selected = new Set([...own.selected].filter((image) => !outcome.images.includes(image)))
    if (!hasFocus(own)) own.cursor = behind(own, outcome.images)
  } else if (press) {
    own.selected = new Set(press.selected)
    own.cursor = Math.max(0, own.cards.findIndex((card) => card.image === press.cursor))
  }
  own.presses = []
}

// The place behind the last of `images`; at the end, the last place. The cursor's own where none is shown.
function behind(own, images) {
  const last = own.cards.findLastIndex((card) => images.includes(card.image))
  return last < 0 ? own.cursor : Math.min(last + 1, own.cards.length - 1)
}

function hasFocus(own) {
  return own.grid.contains(own.grid.getRootNode().activeElement)
}

function makeCard(own, card) {
  card.root = document.createElement("article")
  card.root.className = "card"
  card.root.setAttribute("role", "option")
  const parts = [card.title, ...card.lines, card.badge?.word, WORDS[card.review]].filter(Boolean)
  card.root.setAttribute("aria-label", parts.join(", "))
  const media = element(card.root, "div", "media")
  card.thumb ? picture(own, card, media) : unreadable(card, media)
  if (card.review) icon(element(media, "span", `review ${card.review}`), card.review, WORDS[card.review] || card.review)
  icon(element(media, "span", "check"), "tick", "")
  if (own.data.openable) openButton(own, card, media)
  words(card)
  card.root.onclick = (event) => click(own, card, event)
  card.root.ondblclick = () => own.data.selectable && open(own, card)
  card.root.onfocus = () => move(own, own.cards.indexOf(card), false)
  return card
}

function picture(own, card, media) {
  const fit = element(media, "div", "fit")
  const photo = element(fit, "img")
  photo.alt = ""
  photo.draggable = false
  photo.onload = () => fit.style.setProperty("--ratio", photo.naturalWidth / photo.naturalHeight)
  photo.addEventListener("load", () => outline(own, card))
  photo.src = card.thumb
  card.photo = photo
  if (card.mask) {
    card.loops = contoursOf(bytesOf(card.mask), own.data.maskGrid)
    card.line = element(fit, "canvas", "outline")
  }
  if (!card.layer || !(card.layer.top > 0)) return
  card.heat = readable(card.layer)
  card.canvas = element(fit, "canvas")
  if (card.line) fit.append(card.line)  // above the heat
  placeFrame(card.canvas, card.layer.frame)
}

function unreadable(card, media) {
  const tile = element(media, "div", "unreadable")
  element(tile, "strong", "", "Cannot be read")
  if (card.tooltip) element(tile, "span", "", card.tooltip)
}

function openButton(own, card, media) {
  const button = element(media, "button", "open")
  button.tabIndex = -1
  button.setAttribute("aria-label", `Open ${card.image}`)
  icon(button, "open", "Open (Enter)")
  button.onclick = (event) => {
    event.stopPropagation()
    open(own, card)
  }
  button.ondblclick = (event) => event.stopPropagation()
}

function words(card) {
  const text = element(card.root, "div", "text")
  element(text, "div", "title", card.title).title = card.title
  for (const line of card.lines) element(text, "div", "line", line).title = line
  if (card.tooltip) card.root.title = card.tooltip
  if (!card.badge) return
  const badge = element(text, "div", "badge")
  element(badge, "i").style.background = card.badge.colour
  element(badge, "span", "", card.badge.word).title = card.badge.word
}

// Drawn at the thumbnail's own size, which is known as soon as it is loaded; the browser scales it with the picture.
function outline(own, card) {
  if (!card.line) return
  card.line.hidden = !own.settings.outline
  const { naturalWidth, naturalHeight } = card.photo
  if (own.settings.outline && naturalWidth) drawOutline(card.line, card.loops, naturalWidth, naturalHeight, 1)
}

function heat(own, card) {
  outline(own, card)
  if (card.canvas) paintLayer(card.canvas, card.heat, own.tableOf(own.settings.colours), own.settings, FIELD, FIELD)
}

function click(own, card, event) {
  const index = own.cards.indexOf(card)
  move(own, index, true)
  if (!own.data.selectable) return open(own, card)
  if (!event.shiftKey) {
    toggle(own, index)
    return own.selected.has(card.image) || move(own, nearestSelected(own, index), true)
  }
  const [from, to] = [own.anchor, index].sort((a, b) => a - b)
  select(own, [...own.selected, ...own.cards.slice(from, to + 1).map((each) => each.image)])
}

// A card that a click takes out of the selection must not be what the next key signs: the focus goes to one that stays.
function nearestSelected(own, index) {
  const places = own.cards.map((card, place) => place).filter((place) => own.selected.has(own.cards[place].image))
  return places.sort((a, b) => Math.abs(a - index) - Math.abs(b - index))[0] ?? index
}

function toggle(own, index) {
  const { image } = own.cards[index]
  const next = new Set(own.selected)
  next.delete(image) || next.add(image)
  own.anchor = index
  select(own, next)
}

// Make `images` the selection, drop what is not shown, and tell Python once the hand rests.
function select(own, images) {
  const shown = new Set(own.cards.map((card) => card.image))
  own.selected = new Set(own.data.selectable ? [...images].filter((image) => shown.has(image)) : [])
  own.cards.forEach((card, index) => {
    const chosen = own.selected.has(card.image)
    card.root.classList.toggle("selected", chosen)
    card.root.setAttribute("aria-selected", String(chosen))
    card.root.classList.toggle("current", card.image === own.data.current)
    card.root.tabIndex = index === own.cursor ? 0 : -1
  })
  const chosen = selectedInOrder(own)
  own.count.textContent = `${chosen.length} of ${own.cards.length} selected${chosen.length ? `: ${named(chosen)}` : ""}`
  own.none.disabled = !chosen.length
  describe(own)
  clearTimeout(own.timer)
  own.timer = setTimeout(() => tell(own), 250)
}

function selectedInOrder(own) {
  return own.cards.map((card) => card.image).filter((image) => own.selected.has(image))
}

// Say which images the keys would sign now.
function describe(own) {
  const images = targets(own, hasFocus(own))
  const verdict = images.length ? `F K U sign ${named(images)}` : "F K U verdict"
  own.hint.textContent = `arrows · X select${own.data.openable ? " · Enter open" : ""} · ${verdict} · Z undo · Y redo`
}

function named(images) {
  return images.length > 1 ? `${images[0]} and ${images.length - 1} more` : images[0]
}

function tell(own) {
  clearTimeout(own.timer)
  const chosen = selectedInOrder(own)
  const text = JSON.stringify(chosen)
  if (text === own.sent) return
  own.sent = text
  own.send("selected", chosen)
}

// Another page comes next: a selection that is told meanwhile would ask the server for the page that is left.
function open(own, card) {
  if (!own.data.openable) return
  clearTimeout(own.timer)
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
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  if (!(inside && walk(own, key, event)) && !judge(own, key, inside)) return
  event.preventDefault()
}

function walk(own, key, event) {
  const columns = getComputedStyle(own.grid).gridTemplateColumns.split(" ").length
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, n: 1, j: 1, p: -1 }
  if (key in steps) move(own, own.cursor + steps[key], true)
  else if (key === "Home" || key === "End") move(own, key === "Home" ? 0 : own.cards.length - 1, true)
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
  if (key in STEP_KEYS) return own.trigger("pressed", { name: STEP_KEYS[key], images: [] }), true
  const name = VERDICT_KEYS[key]
  const images = targets(own, inside)
  if (!name || !images.length) return false
  own.presses.push({ images, selected: [...own.selected], cursor: own.cards[own.cursor].image, at: Date.now() })
  own.presses = own.presses.filter((press) => Date.now() - press.at < 10000)
  own.trigger("pressed", { name, images })
  const next = behind(own, images)
  select(own, [])
  move(own, next, true)
  return true
}

// What a verdict key signs: the card with the focus; the whole selection where that holds it, or where no card has it.
function targets(own, inside) {
  const focused = own.cards[own.cursor]?.image
  return inside && focused !== undefined && !own.selected.has(focused) ? [focused] : selectedInOrder(own)
}
