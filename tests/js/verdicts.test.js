import assert from "node:assert/strict"
import test from "node:test"

import { afterOutcome, stepOf, verdictOf, withPress } from "../../whalecam/app/components/gallery/verdicts.js"

const IMAGES = ["a", "b", "c", "d"]
const STATE = { images: IMAGES, selected: new Set(["a", "b"]), cursor: 0, presses: [], hasFocus: false }
const after = (state, outcome) => {
  const { selected, cursor } = afterOutcome({ ...STATE, ...state }, outcome)
  return [[...selected], cursor]
}

test("keys have the meaning that Python knows", () => {
  assert.deepEqual([..."fkuzyx"].map(verdictOf), ["flag", "keep", "unsure", undefined, undefined, undefined])
  assert.deepEqual([..."fkuzyx"].map(stepOf), [undefined, undefined, undefined, "undo", "redo", undefined])
})

test("presses are forgotten after ten seconds", () => {
  const at = (time) => ({ at: time })
  assert.deepEqual(withPress([at(0), at(1), at(9000)], at(10000)), [at(1), at(9000), at(10000)])
})

test("signed images are selected no more, and the cursor moves behind them", () => {
  assert.deepEqual(after({}, { state: "signed", images: ["b", "c"] }), [["a"], 3])
  assert.deepEqual(after({}, { state: "signed", images: ["d"] }), [["a", "b"], 3])
})

test("a cursor that somebody holds stays", () => {
  assert.deepEqual(after({ hasFocus: true }, { state: "signed", images: ["b"] }), [["a"], 0])
})

const PRESSES = [
  { images: ["c"], selected: ["c"], cursor: "c" },
  { images: ["a", "b"], selected: ["a", "b"], cursor: "b" },
]

test("a refused verdict gives back the selection and the cursor of its press", () => {
  const state = { selected: new Set(), cursor: 3, presses: PRESSES }
  assert.deepEqual(after(state, { state: "refused", images: ["b"] }), [["a", "b"], 1])
  assert.deepEqual(after(state, { state: "refused", images: ["c"] }), [["c"], 2])
})

test("where the card of the cursor has left meanwhile, a refusal leads to the first", () => {
  const state = { images: ["a", "c"], presses: PRESSES }
  assert.deepEqual(after(state, { state: "refused", images: ["a"] }), [["a", "b"], 0])
})

test("a refusal of what was pressed elsewhere changes nothing", () => {
  assert.deepEqual(after({ cursor: 2, presses: PRESSES }, { state: "refused", images: ["d"] }), [["a", "b"], 2])
})
