import assert from "node:assert/strict"
import test from "node:test"

import { blankMask, box, copyOf, maskOf, runsOf, shareOf, stroke, tinted } from "../../whalecam/app/components/canvas/brush.js"
import { numbers } from "./drawings.js"

function rowsOf({ width, height, cells }) {
  return Array.from({ length: height }, (_, y) => Array.from(cells.slice(y * width, (y + 1) * width), (cell) => ".#"[cell]).join(""))
}

function drawn(rows) {
  return { width: rows[0].length, height: rows.length, cells: Uint8Array.from(rows.join("").replace(/./g, (c) => Number(c === "#"))) }
}

test("run lengths begin with what is not subject", () => {
  assert.deepEqual(runsOf(drawn(["..##", "#..."])), [2, 3, 3])
  assert.deepEqual(runsOf(drawn(["####"])), [0, 4])
  assert.deepEqual(runsOf(drawn(["...."])), [4])
  assert.deepEqual(runsOf(drawn(["#..#"])), [0, 1, 2, 1])
})

test("any mask comes back from its run lengths", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const [width, height] = [1 + (seed % 7), 1 + ((3 * seed) % 5)]
    const cells = Uint8Array.from(numbers(width * height, seed), (value) => Number(value < 0.4))
    const mask = { width, height, cells }
    const runs = runsOf(mask)
    assert.equal(runs.reduce((sum, run) => sum + run, 0), width * height)
    assert.deepEqual(maskOf({ width, height, runs }), mask)
  }
})

test("a dab takes the cells whose centres lie within its radius", () => {
  const mask = blankMask(7, 5)
  stroke(mask, [3.5, 2.5], [3.5, 2.5], 1, 1)
  assert.deepEqual(rowsOf(mask), [".......", "...#...", "..###..", "...#...", "......."])
  stroke(mask, [3.5, 2.5], [3.5, 2.5], 0.4, 0)
  assert.deepEqual(rowsOf(mask), [".......", "...#...", "..#.#..", "...#...", "......."])
})

test("a stroke is every cell near its line, as by the slow way", () => {
  const [from, to, radius] = [[2.2, 1.1], [15.7, 9.4], 2.3]
  const mask = blankMask(18, 12)
  stroke(mask, from, to, radius, 1)
  for (let y = 0; y < 12; y++) {
    for (let x = 0; x < 18; x++) {
      // The nearest of many points of the line.
      const nearest = Math.min(...Array.from({ length: 4001 }, (_, i) => {
        const at = [0, 1].map((axis) => from[axis] + (i / 4000) * (to[axis] - from[axis]))
        return Math.hypot(x + 0.5 - at[0], y + 0.5 - at[1])
      }))
      if (Math.abs(nearest - radius) > 1e-3) assert.equal(mask.cells[y * 18 + x], Number(nearest < radius), `${x}, ${y}`)
    }
  }
})

test("strokes and boxes beyond the edge paint what is inside", () => {
  const mask = blankMask(4, 3)
  stroke(mask, [-5, 1.5], [1.5, 1.5], 0.6, 1)
  assert.deepEqual(rowsOf(mask), ["....", "##..", "...."])
  box(mask, [9, 9], [2, 1.2], 1)
  assert.deepEqual(rowsOf(mask), ["....", "####", "..##"])
  stroke(mask, [50, 50], [60, 60], 3, 1)
  assert.deepEqual(rowsOf(mask), ["....", "####", "..##"])
})

test("a box has the same cells from any two of its corners", () => {
  for (const [from, to] of [[[1, 1], [3, 2]], [[3, 2], [1, 1]], [[1, 2], [3, 1]], [[3, 1], [1, 2]]]) {
    const mask = blankMask(5, 3)
    box(mask, from, to, 1)
    assert.deepEqual(rowsOf(mask), [".....", ".##..", "....."])
  }
})

test("the edge has another colour than the inside, and the rest is clear", () => {
  const pixels = tinted(drawn([".....", ".###.", ".###.", ".###.", "....."]), [1, 2, 3, 4], [5, 6, 7, 8])
  const at = (x, y) => Array.from(pixels.slice(4 * (y * 5 + x), 4 * (y * 5 + x) + 4))
  assert.deepEqual([at(0, 0), at(1, 1), at(2, 2), at(3, 2)], [[0, 0, 0, 0], [5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8]])
})

test("a copy keeps what was there", () => {
  const mask = drawn(["##.."])
  const kept = copyOf(mask)
  box(mask, [0, 0], [4, 1], 1)
  assert.deepEqual([rowsOf(kept), shareOf(kept), shareOf(mask), shareOf(blankMask(0, 0))], [["##.."], 0.5, 1, 0])
})
