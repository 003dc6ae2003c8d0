import assert from "node:assert/strict"
import test from "node:test"

import { bandOf, touched } from "../../whalecam/app/components/gallery/band.js"

const BOXES = [0, 100, 200].map((left) => ({ left, top: 10, right: left + 90, bottom: 60 }))

test("a frame is the same whichever corner was first", () => {
  const frame = { left: 5, top: 20, right: 150, bottom: 70 }
  assert.deepEqual(bandOf({ x: 5, y: 20 }, { x: 150, y: 70 }), frame)
  assert.deepEqual(bandOf({ x: 150, y: 70 }, { x: 5, y: 20 }), frame)
  assert.deepEqual(bandOf({ x: 5, y: 70 }, { x: 150, y: 20 }), frame)
})

test("a frame touches the boxes that it overlaps, however little, and none in whose gap it lies", () => {
  const at = (x, y, toX, toY) => touched(BOXES, bandOf({ x, y }, { x: toX, y: toY }))
  assert.deepEqual(at(50, 30, 210, 31), [0, 1, 2])
  assert.deepEqual(at(91, 30, 99, 31), [])
  assert.deepEqual(at(91, 30, 101, 31), [1])
  assert.deepEqual(at(0, 0, 300, 10), [], "above them all")
  assert.deepEqual(at(120, 20, 120, 20), [1], "a point")
})
