// Verdict keys that were pressed, and what came of them.
import { placeBehind } from "./places.js"

const VERDICT_KEYS = { f: "flag", k: "keep", u: "unsure" }
const STEP_KEYS = { z: "undo", y: "redo" }
const KEPT_FOR_MS = 10000

export function verdictOf(key) {
  return VERDICT_KEYS[key]
}

export function stepOf(key) {
  return STEP_KEYS[key]
}

// The presses with one more, without those so old that nothing comes of them any more.
export function withPress(presses, press) {
  return [...presses, press].filter((each) => press.at - each.at < KEPT_FOR_MS)
}

// Selection and cursor after an outcome. Signed by a button: its images are selected no more, and the cursor moves on,
// unless somebody has moved it since. Refused by Python: both are where they were when the key was pressed.
export function afterOutcome({ images, selected, cursor, presses, hasFocus }, outcome) {
  if (outcome.state === "signed") {
    const left = new Set([...selected].filter((image) => !outcome.images.includes(image)))
    return { selected: left, cursor: hasFocus ? cursor : placeBehind(images, outcome.images, cursor) }
  }
  const press = presses.find((each) => outcome.images.some((image) => each.images.includes(image)))
  if (!press) return { selected, cursor }
  return { selected: new Set(press.selected), cursor: Math.max(0, images.indexOf(press.cursor)) }
}
