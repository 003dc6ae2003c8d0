import assert from "node:assert/strict"
import test from "node:test"

import { contoursOf } from "../../whalecam/app/components/shared/outlines.js"
import { bitsOf, near } from "./drawings.js"

// The area within a loop, by the shoelace formula, in squares of the mask.
function areaOf(loop, n) {
  const next = (i) => loop[(i + 1) % loop.length]
  const twice = loop.reduce((sum, [x, y], i) => sum + x * next(i)[1] - next(i)[0] * y, 0)
  return (Math.abs(twice) / 2) * n * n
}

function centreOf(loop) {
  return [0, 1].map((axis) => loop.reduce((sum, point) => sum + point[axis], 0) / loop.length)
}

test("an empty mask has no outline", () => assert.deepEqual(contoursOf(bitsOf(Array(8).fill("........")), 8), []))

test("a single cell is outlined by a diamond around its centre", () => {
  const [loop, ...others] = contoursOf(bitsOf(["....", ".#..", "....", "...."]), 4)
  assert.equal(others.length, 0)
  assert.equal(loop.length, 4)
  near(centreOf(loop), [1.5 / 4, 1.5 / 4], 1e-6)
  // Field 9/17 in the cell and 1/17 beside it: one half is crossed 1/16 from the centre, and smoothing (¼ ½ ¼) halves
  // a diamond's distances, twice.
  for (const [x, y] of loop) assert.ok(Math.abs(Math.hypot(x - 0.375, y - 0.375) * 4 - 1 / 64) < 1e-6)
})

test("a full mask is outlined at the image's edge", () => {
  const [loop, ...others] = contoursOf(bitsOf(Array(8).fill("########")), 8)
  assert.equal(others.length, 0)
  for (const axis of [0, 1]) {
    near([Math.min(...loop.map((point) => point[axis])), Math.max(...loop.map((point) => point[axis]))], [0, 1], 1 / 16)
  }
  near([areaOf(loop, 8)], [64], 6)
})

test("two regions have two outlines, each where it lies", () => {
  const rows = ["##......", "##......", "........", "........", "........", ".....###", ".....###", ".....###"]
  const loops = contoursOf(bitsOf(rows), 8).sort((a, b) => a.length - b.length)
  assert.equal(loops.length, 2)
  near(centreOf(loops[0]), [1 / 8, 1 / 8], 0.02)
  near(centreOf(loops[1]), [6.5 / 8, 6.5 / 8], 0.02)
})

test("a hole has an outline of its own", () => {
  const rows = ["........", ".######.", ".######.", ".##..##.", ".##..##.", ".######.", ".######.", "........"]
  const areas = contoursOf(bitsOf(rows), 8).map((loop) => areaOf(loop, 8)).sort((a, b) => a - b)
  assert.equal(areas.length, 2)
  near(areas, [4, 36], 3.5)
})

test("bits are read row by row, first bit highest", () => {
  const packed = new Uint8Array(8)
  packed[2] = 0b00000110 // row 2, columns 5 and 6
  near(centreOf(contoursOf(packed, 8)[0]), [6 / 8, 2.5 / 8], 1e-6)
})
