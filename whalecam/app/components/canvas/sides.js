// The image as it is, under its heat, and on the changed background, side by side in a window of their own.
import { element } from "../shared/elements.js"
import { isLit } from "../shared/evidence.js"
import { paintLayer, placeFrame } from "../shared/paint.js"

const FIELD_PX = 512

export function sidesIn(root) {
  const dialog = element(root, "dialog", "sides")
  dialog.setAttribute("aria-label", "Side by side")
  const sides = { dialog }
  dialog.onclose = () => dialog.open || dialog.replaceChildren()
  return sides
}

function fillIn(sides) {
  const { dialog } = sides
  dialog.replaceChildren()
  const head = element(dialog, "div", "head")
  sides.title = element(head, "strong")
  sides.verdict = element(head, "span", "verdict")
  element(head, "button", "", "Close (C)").onclick = () => dialog.close()
  const row = element(dialog, "div", "row")
  sides.plain = sideIn(row)
  sides.heat = sideIn(row)
  sides.frame = element(sides.heat.fit, "div", "frame")
  sides.canvas = element(sides.frame, "canvas", "heat")
  sides.changed = sideIn(row)
}

function sideIn(row) {
  const whole = element(row, "figure")
  const fit = element(whole, "div", "fit")
  return { whole, fit, image: element(fit, "img"), words: element(whole, "figcaption") }
}

export function toggleSides(sides) {
  if (sides.dialog.open) {
    sides.dialog.close()
    return
  }
  fillIn(sides)
  sides.dialog.showModal()
}

// What the three show now; `layer`, `table` and `settings` are those of the large image.
export function drawSides(sides, { data, layer, table, settings }) {
  if (!sides.dialog.open || !data.sides) return
  sides.title.textContent = data.sides.title
  sides.verdict.textContent = data.sides.verdict
  fill(sides.plain, data.picture, data.sides.plain)
  fill(sides.heat, data.picture, data.caption)
  sides.changed.whole.hidden = !data.sides.uri
  if (data.sides.uri) fill(sides.changed, data.sides.uri, data.sides.changed)
  sides.frame.hidden = !isLit(layer)
  if (sides.frame.hidden) return
  placeFrame(sides.frame, layer.frame)
  if (sides.of !== layer) Object.assign(sides, { of: layer, layer: { ...layer, field: undefined } })
  paintLayer(sides.canvas, sides.layer, table, { ...settings, heat: true }, FIELD_PX, FIELD_PX)
}

function fill({ image, words }, picture, caption) {
  if (image.getAttribute("src") !== picture) image.src = picture
  image.alt = caption
  words.textContent = caption
}
