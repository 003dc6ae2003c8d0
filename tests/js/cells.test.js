import assert from "node:assert/strict"
import test from "node:test"

import { cellAt, frameOf, pixelsOf, strongestCell } from "../../whalecam/app/components/canvas/cells.js"

const LAYER = { height: 3, width: 4, signed: [-2, 0.5, 0, 1, 0.25, 4, -0.75, 3, 0, 0, 1.5, 2] }
const BOX = { left: 100, top: 50, width: 400, height: 150 }

test("every cell is found at its centre", () => {
  LAYER.signed.forEach((value, i) => {
    const [row, column] = [Math.floor(i / 4), i % 4]
    assert.deepEqual(cellAt(LAYER, BOX, 150 + 100 * column, 75 + 50 * row), { row, column, value })
  })
})

test("a border belongs to the cell behind it; the layer's own last borders to none", () => {
  assert.deepEqual(cellAt(LAYER, BOX, 100, 50), { row: 0, column: 0, value: -2 })
  assert.deepEqual(cellAt(LAYER, BOX, 200, 100), { row: 1, column: 1, value: 4 })
  assert.deepEqual(cellAt(LAYER, BOX, 499.9, 199.9), { row: 2, column: 3, value: 2 })
  for (const [x, y] of [[500, 100], [300, 200], [99.9, 100], [300, 49.9]]) assert.equal(cellAt(LAYER, BOX, x, y), null)
})

test("the strongest cell is the first of the largest values", () => {
  assert.deepEqual(strongestCell(LAYER), { row: 1, column: 1, value: 4 })
  assert.deepEqual(strongestCell({ height: 1, width: 3, signed: [1, 2, 2] }), { row: 0, column: 1, value: 2 })
  assert.deepEqual(strongestCell({ height: 1, width: 2, signed: [-3, -1] }), { row: 0, column: 1, value: -1 })
})

test("a cell's frame is its share of the layer", () => {
  assert.deepEqual(frameOf({ row: 1, column: 3 }, { height: 2, width: 4 }), [0.75, 0.5, 1, 1])
})

test("heat is painted at the frame's size on the screen", () => {
  assert.deepEqual(pixelsOf([0, 0, 1, 1], 300, 200, 1), [200, 300])
  assert.deepEqual(pixelsOf([0.25, 0, 0.75, 1], 300, 200, 2), [400, 300])
})

test("heat is never finer than 1024 pixels, nor less than one", () => {
  assert.deepEqual(pixelsOf([0, 0, 1, 1], 2048, 512, 1), [256, 1024])
  assert.deepEqual(pixelsOf([0, 0, 1, 1], 300, 2000, 2), [1024, 154])
  assert.deepEqual(pixelsOf([0, 0, 1, 0.001], 300, 200, 1), [1, 300])
})
