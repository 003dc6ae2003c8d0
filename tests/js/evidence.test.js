import assert from "node:assert/strict"
import test from "node:test"

import { bytesOf } from "../../whalecam/app/components/shared/bytes.js"
import { colourise, isLit, readable, tablesOf, upsample } from "../../whalecam/app/components/shared/evidence.js"
import { near, numbers, packed } from "./drawings.js"

test("base64 becomes its bytes; nothing becomes none", () => {
  assert.deepEqual([...bytesOf("AAF//w==")], [0, 1, 127, 255])
  assert.deepEqual([...bytesOf("")], [])
  assert.deepEqual([...bytesOf(undefined)], [])
})

test("upsampling to the grid's own size changes nothing", () => {
  assert.deepEqual([...upsample([1, 2, 3, 4, 5, 6], 2, 3, 2, 3)], [1, 2, 3, 4, 5, 6])
})

test("two cells over four samples meet at half-pixel centres, with the edges held", () => {
  assert.deepEqual([...upsample([0, 4], 1, 2, 1, 4)], [0, 1, 3, 4])
  assert.deepEqual([...upsample([0, 4], 2, 1, 4, 1)], [0, 1, 3, 4])
})

test("a single cell fills every pixel", () => assert.deepEqual([...upsample([7], 1, 1, 2, 3)], [7, 7, 7, 7, 7, 7]))

// Bilinear interpolation as it is defined: every cell weighs by the product of two triangles around the sample.
function slowly(grid, height, width, rows, columns) {
  const place = (i, from, to) => Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5))
  const triangle = (distance) => Math.max(0, 1 - Math.abs(distance))
  const sample = (r, c) => {
    let sum = 0
    for (const [i, value] of grid.entries()) {
      const down = triangle(place(r, height, rows) - Math.floor(i / width))
      sum += value * down * triangle(place(c, width, columns) - (i % width))
    }
    return sum
  }
  return Array.from({ length: rows * columns }, (_, i) => sample(Math.floor(i / columns), i % columns))
}

for (const [height, width, rows, columns] of [[7, 7, 33, 21], [4, 6, 5, 40], [3, 1, 2, 9], [14, 3, 5, 4]]) {
  test(`upsampling ${height} × ${width} to ${rows} × ${columns} is bilinear`, () => {
    const grid = numbers(height * width, height).map((value) => 200 * value)
    near(upsample(grid, height, width, rows, columns), slowly(grid, height, width, rows, columns), 1e-3)
  })
}

const TABLE = Uint8Array.from({ length: 768 }, (_, i) => [Math.floor(i / 3), 255 - Math.floor(i / 3), 9][i % 3])

test("evidence has the colour of the table, and weak evidence is clear", () => {
  const pixels = colourise([0, 1, 2, 5], 5, TABLE, 0.5, 0)
  assert.deepEqual([...pixels], [0, 0, 0, 0, 51, 204, 9, 26, 102, 153, 9, 51, 255, 0, 9, 128])
})

test("below the threshold nothing is painted, at it something is", () => {
  const alphas = [...colourise([0, 1, 2, 5], 5, TABLE, 0.5, 0.4)].filter((_, i) => i % 4 === 3)
  assert.deepEqual(alphas, [0, 0, 51, 128])
})

test("evidence beyond the top has full colour, evidence against none", () => {
  assert.deepEqual([...colourise([-3, 80], 4, TABLE, 1, 0)], [0, 0, 0, 0, 255, 0, 9, 255])
})

test("a layer's values are read with their sign; only what is positive and finite is painted", () => {
  const layer = readable({ values: packed([-2, 0, 1.5, Infinity, NaN, -Infinity]), top: 1.5 })
  assert.deepEqual([...layer.signed], [-2, 0, 1.5, Infinity, NaN, -Infinity])
  assert.deepEqual([...layer.positive], [0, 0, 1.5, 0, 0, 0])
  assert.equal(layer.top, 1.5)
})

test("a layer is lit where something is positive", () => {
  assert.deepEqual([null, { top: 0 }, { top: NaN }, { top: 0.1 }].map(isLit), [false, false, false, true])
})

test("an unknown colour table falls back to the default, else to the first", () => {
  const [first, second] = [Buffer.from([1]).toString("base64"), Buffer.from([2]).toString("base64")]
  const known = tablesOf({ turbo: first, magma: second })
  assert.deepEqual([...known("turbo"), ...known("magma"), ...known("none")], [1, 2, 2])
  assert.deepEqual([...tablesOf({ turbo: first })("none")], [1])
  assert.equal(tablesOf({})("magma"), undefined)
})
