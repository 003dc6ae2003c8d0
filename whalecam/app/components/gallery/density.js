// How large cards are, as a factor of their usual size; this browser keeps it.
export const SCALES = { min: "0.6", max: "2", step: "0.1" }
const KEY = "whalecam.cardScale"

export function keptScale(storage = globalThis.localStorage) {
  const kept = parseFloat(storage?.getItem(KEY))
  return kept >= SCALES.min && kept <= SCALES.max ? kept : 1
}

export function keepScale(scale, storage = globalThis.localStorage) {
  storage?.setItem(KEY, scale)
}
