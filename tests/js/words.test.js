import assert from "node:assert/strict"
import test from "node:test"

import {
  cellWords,
  noteOf,
  number,
  restWords,
  signed,
  thresholdWords,
  ticksOf,
} from "../../whalecam/app/components/canvas/words.js"

const SETTINGS = { opacity: 0.6, threshold: 0, colours: "magma", outline: true, heat: true }
const layerOf = (values, top = Math.max(0, ...values)) => ({
  height: 1,
  width: values.length,
  signed: values,
  positive: values.map((value) => Math.max(0, value)),
  top,
  unit: "logits",
})

for (const [value, top, expected] of [
  [4, 4, "4.00"],
  [0, 4, "0"],
  [-0.75, 4, "−0.75"],
  [12.345, 50, "12.3"],
  [123.4, 123.4, "123"],
  [1234, 1234, "1234"],
  [0.00123, 0.00123, "0.00123"],
  [1e-12, 1e-12, "0.000000000"],
  [2.5, 0, "2.50"],
  [NaN, 4, "undefined"],
  [Infinity, 4, "undefined"],
]) {
  test(`${value} at a top of ${top} reads ${expected}`, () => assert.equal(number(value, { top }), expected))
}

test("a number has the digits that three figures of the top leave", () => {
  for (let size = -7; size <= 6; size++) {
    const top = 3 * 10 ** size
    const [, digits = ""] = number(top / 2, { top }).split(".")
    assert.equal(digits.length, Math.max(0, 2 - size))
  }
})

test("values carry their sign, 0 has none", () => {
  assert.deepEqual([1, 0, -1].map((value) => signed(value, { top: 1 })), ["+1.00", "0", "−1.00"])
})

test("a cell is named as people count, and evidence against says so", () => {
  const layer = layerOf([4, -2])
  assert.equal(cellWords({ row: 0, column: 0, value: 4 }, layer), "+4.00 logits · row 1, column 1")
  assert.equal(cellWords({ row: 1, column: 0, value: 0 }, layer), "0 logits · row 2, column 1")
  assert.equal(cellWords({ row: 0, column: 1, value: -2 }, layer), "−2.00 logits, against · row 1, column 2")
})

test("at rest the strongest cell is told, outside what the network saw is", () => {
  const outside = "The network did not see this part of the image."
  assert.equal(restWords(layerOf([1, 4]), false), "Strongest +4.00 logits · row 1, column 2")
  assert.equal(restWords(layerOf([1, 4]), true), outside)
  assert.equal(restWords(layerOf([-1, -4]), false), "")
  assert.equal(restWords(layerOf([-1, -4]), true), outside)
  assert.deepEqual([restWords(null, false), restWords(null, true)], ["", ""])
})

test("the legend has nothing, the half and the top, and says where more is cut", () => {
  assert.deepEqual(ticksOf(layerOf([1, 4])), ["0", "2.00", "4.00 logits"])
  assert.deepEqual(ticksOf(layerOf([1, 4], 2)), ["0", "1.00", "≥ 2.00 logits"])
})

test("the threshold is said in the layer's unit", () => {
  assert.equal(thresholdWords(layerOf([4]), { threshold: 0.25 }), "1.00 logits")
})

test("the note says why nothing is painted", () => {
  assert.equal(noteOf(null, SETTINGS, true), "There is no map for this image.")
  assert.match(noteOf(layerOf([-1]), SETTINGS, true), /^Nothing in this image speaks for this class/)
  assert.equal(noteOf(layerOf([1]), { ...SETTINGS, heat: false }, true), "The heat is switched off.")
})

test("the note says how the heat is made, and of threshold and outline only where they are", () => {
  const start = "Bilinear between 1 × 2 cells"
  const middle = "the weaker, the more transparent · evidence against is left clear"
  const layer = layerOf([1, 4])
  assert.equal(noteOf(layer, SETTINGS, false), `${start} · ${middle}.`)
  assert.equal(noteOf(layer, SETTINGS, true), `${start} · ${middle} · white line: the mask.`)
  assert.equal(noteOf(layer, { ...SETTINGS, outline: false }, true), `${start} · ${middle}.`)
  const cut = noteOf(layer, { ...SETTINGS, threshold: 0.5 }, false)
  assert.equal(cut, `${start} · below 2.00 logits nothing is painted · ${middle}.`)
})
