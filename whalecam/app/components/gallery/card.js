// The cards of a gallery: their elements, and their images under heat and outline.
import { bytesOf } from "../shared/bytes.js"
import { breaking, element } from "../shared/elements.js"
import { isLit, readable } from "../shared/evidence.js"
import { icon } from "../shared/icons.js"
import { contoursOf } from "../shared/outlines.js"
import { drawOutline, paintLayer, placeFrame } from "../shared/paint.js"

const WORDS = { flag: "flagged", keep: "kept", unsure: "unsure" }
const FIELD = 96
const ON_CARDS = 0.75

export function makeCard(own, card, { click, open, focus }) {
  card.root = document.createElement("article")
  card.root.className = "card"
  card.root.setAttribute("role", "option")
  card.root.setAttribute("aria-label", labelOf(card))
  const media = element(card.root, "div", "media")
  if (card.thumb) picture(own, card, media)
  else unreadable(card, media)
  if (card.review) icon(element(media, "span", `review ${card.review}`), card.review, WORDS[card.review] || card.review)
  icon(element(media, "span", "check"), "tick", "")
  if (own.data.openable) openButton(card, media, open)
  words(card)
  card.root.onclick = (event) => click(card, event)
  card.root.ondblclick = () => own.data.selectable && open(card)
  card.root.onfocus = () => focus(card)
  return card
}

// All that a card says, for those who do not see it.
export function labelOf(card) {
  return [card.title, ...card.lines, card.badge?.word, WORDS[card.review]].filter(Boolean).join(", ")
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
  if (!isLit(card.layer)) return
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

// For the mouse alone: the card is an option of a list, in which no button may stand, and Enter opens it.
function openButton(card, media, open) {
  const button = element(media, "span", "open")
  button.setAttribute("aria-hidden", "true")
  icon(button, "open", "Open (Enter)")
  button.onclick = (event) => {
    event.stopPropagation()
    open(card)
  }
  button.ondblclick = (event) => event.stopPropagation()
}

function words(card) {
  const text = element(card.root, "div", "text")
  breaking(text, "div", "title", card.title)
  if (card.badge) {
    const badge = element(text, "div", "badge")
    element(badge, "i", `mark ${card.badge.shape}`).style.background = card.badge.colour
    element(badge, "span", "", card.badge.word)
  }
  for (const line of card.lines) breaking(text, "div", "line", line)
  if (card.tooltip) card.root.title = card.tooltip
}

// Drawn at the thumbnail's own size, which is known as soon as it is loaded; the browser scales it with the image.
function outline(own, card) {
  if (!card.line) return
  card.line.hidden = !own.settings.outline
  const { naturalWidth, naturalHeight } = card.photo
  if (own.settings.outline && naturalWidth) drawOutline(card.line, card.loops, naturalWidth, naturalHeight, 1)
}

// Heat on cards is fainter than on the large image: on a small one it would hide the colour that is the finding.
export function onCards({ isBare, ...settings }) {
  return { ...settings, opacity: ON_CARDS * settings.opacity, heat: settings.heat && !isBare }
}

export function heat(own, card) {
  outline(own, card)
  if (!card.canvas) return
  const settings = onCards(own.settings)
  paintLayer(card.canvas, card.heat, own.tableOf(settings.colours), settings, FIELD, FIELD)
}
