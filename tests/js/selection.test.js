import assert from "node:assert/strict"
import test from "node:test"

import {
  countWords,
  hintWords,
  inOrder,
  rangeOf,
  targetsOf,
  toggled,
} from "../../whalecam/app/components/gallery/selection.js"

const IMAGES = ["a", "b", "c", "d"]

test("the selection is told in the order of the cards, without what is not shown", () => {
  assert.deepEqual(inOrder(IMAGES, new Set(["d", "x", "b"])), ["b", "d"])
})

test("a click takes an image in or out, and leaves the selection before as it was", () => {
  const before = new Set(["a"])
  assert.deepEqual([...toggled(before, "b")], ["a", "b"])
  assert.deepEqual([...toggled(before, "a")], [])
  assert.deepEqual([...before], ["a"])
})

test("a range has both its ends, either way round", () => {
  assert.deepEqual(rangeOf(IMAGES, 1, 3), ["b", "c", "d"])
  assert.deepEqual(rangeOf(IMAGES, 3, 1), ["b", "c", "d"])
  assert.deepEqual(rangeOf(IMAGES, 2, 2), ["c"])
})

test("a range counts places as numbers, not as words", () => {
  const many = Array.from({ length: 12 }, (_, i) => i)
  assert.deepEqual(rangeOf(many, 10, 9), [9, 10])
})

test("a key signs the card with the focus unless the selection holds it", () => {
  const selected = new Set(["c", "a"])
  assert.deepEqual(targetsOf(IMAGES, selected, "b"), ["b"])
  assert.deepEqual(targetsOf(IMAGES, selected, "a"), ["a", "c"])
  assert.deepEqual(targetsOf(IMAGES, selected, undefined), ["a", "c"])
  assert.deepEqual(targetsOf(IMAGES, new Set(), "b"), ["b"])
  assert.deepEqual(targetsOf(IMAGES, new Set(), undefined), [])
})

test("the count names the first and how many more", () => {
  assert.equal(countWords([], 8), "0 of 8 selected")
  assert.equal(countWords(["a"], 8), "1 of 8 selected: a")
  assert.equal(countWords(["a", "b", "c"], 8), "3 of 8 selected: a and 2 more")
})

test("the hint says what the keys would sign, and of opening only where that is", () => {
  assert.equal(hintWords([], false), "arrows · X or drag: select · F K U verdict · Z undo · Y redo · H heat")
  assert.equal(hintWords(["a"], true), "arrows · X or drag: select · Enter open · F K U sign a · Z undo · Y redo · H heat")
  assert.match(hintWords([], true, 8), / · F K U verdict · 1–8 reason · Z undo/)
  assert.match(hintWords(["a", "b"], true), / · F K U sign a and 1 more · /)
})
