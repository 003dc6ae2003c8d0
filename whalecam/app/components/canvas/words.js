// What is written beside the image: numbers in the layer's unit, the ticks of the legend, the note below.
import { isLit } from "../shared/evidence.js"
import { strongestCell } from "./cells.js"

// Three significant digits of the top, for every number of a layer, so that they can be compared at a glance.
export function number(value, layer) {
  if (!Number.isFinite(value)) return "undefined"
  const size = Math.floor(Math.log10(layer.top || Math.abs(value) || 1))
  return value.toFixed(value === 0 ? 0 : Math.max(0, Math.min(9, 2 - size))).replace("-", "−")
}

export function signed(value, layer) {
  return (value > 0 ? "+" : "") + number(value, layer)
}

export function thresholdWords(layer, settings) {
  return `${number(settings.threshold * layer.top, layer)} ${layer.unit}`
}

// The three labels of the colour bar; the last one says where values beyond it have the same colour.
export function ticksOf(layer) {
  const over = Math.max(...layer.positive) > layer.top ? "≥ " : ""
  return [number(0, layer), number(layer.top / 2, layer), `${over}${number(layer.top, layer)} ${layer.unit}`]
}

export function cellWords(cell, layer) {
  const against = cell.value < 0 ? ", against" : ""
  return `${signed(cell.value, layer)} ${layer.unit}${against} · ${placeWords(cell)}`
}

// What is said while the pointer is on no cell: `isOutside` where it is on the image all the same.
export function restWords(layer, isOutside) {
  if (layer && isOutside) return "The network did not see this part of the image."
  if (!isLit(layer)) return ""
  const best = strongestCell(layer)
  return `Strongest ${signed(best.value, layer)} ${layer.unit} · ${placeWords(best)}`
}

function placeWords({ row, column }) {
  return `row ${row + 1}, column ${column + 1}`
}

export function noteOf(layer, settings, hasOutline) {
  if (!layer) return "There is no map for this image."
  if (!isLit(layer)) return "Nothing in this image speaks for this class: no positive evidence to paint."
  if (!settings.heat) return "The heat is switched off."
  const parts = [`Bilinear between ${layer.height} × ${layer.width} cells`]
  if (settings.threshold > 0) parts.push(`below ${thresholdWords(layer, settings)} nothing is painted`)
  parts.push("the weaker, the more transparent")
  parts.push("evidence against is left clear")
  if (settings.outline && hasOutline) parts.push("white line: the mask")
  return `${parts.join(" · ")}.`
}
