import assert from "node:assert/strict"
import test from "node:test"

import {
  nearestSelected,
  placeAfter,
  placeAmong,
  placeBehind,
} from "../../whalecam/app/components/gallery/places.js"

const letters = (text) => [...text]

for (const [before, cursor, after, expected, why] of [
  ["abcd", 2, "abcd", 2, "nothing changed"],
  ["abcd", 2, "bcd", 1, "its card moved up"],
  ["abcd", 1, "acd", 1, "its card left: the next one"],
  ["abcd", 1, "ad", 1, "its card and the next left: the one behind"],
  ["abcd", 3, "abc", 2, "the last card left: the new last one"],
  ["abcd", 3, "abcef", 3, "the last card left: where the next ones come in"],
  ["abcd", 2, "xy", 0, "all cards left"],
  ["abcd", 2, "", 0, "no card is left"],
]) {
  test(`the cursor is at ${expected} where ${why}`, () => {
    assert.equal(placeAmong(letters(after), { shown: letters(before), cursor, start: undefined }), expected)
  })
}

test("with no cards before, the cursor starts where it is told to, else at the first", () => {
  const at = (start) => placeAmong(letters("abc"), { shown: [], cursor: 0, start })
  assert.deepEqual([at("b"), at("z"), at(undefined)], [1, 0, 0])
})

test("behind the signed ones is the next, at the end the last, else the cursor's own place", () => {
  const behind = (gone) => placeBehind(letters("abcd"), letters(gone), 1)
  assert.deepEqual(["a", "ac", "ca", "d", "bd", "x", ""].map(behind), [1, 3, 3, 3, 3, 1, 1])
})

// The nearest place, the left one of two, by looking at every distance.
function slowly(images, selected, index) {
  for (let distance = 0; distance < images.length; distance++) {
    for (const place of [index - distance, index + distance]) if (selected.has(images[place])) return place
  }
  return index
}

test("of every selection the nearest card is found", () => {
  const images = letters("abcdef")
  for (let bits = 0; bits < 64; bits++) {
    const selected = new Set(images.filter((_, i) => bits & (1 << i)))
    for (const index of images.keys()) {
      assert.equal(nearestSelected(images, selected, index), slowly(images, selected, index))
    }
  }
})

test("keys walk through the grid, past its ends too, which no card is at", () => {
  const walk = (key) => placeAfter(key, { cursor: 4, count: 9, columns: 3 })
  const keys = ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "n", "j", "p", "Home", "End"]
  assert.deepEqual(keys.map(walk), [5, 3, 7, 1, 5, 5, 3, 0, 8])
  assert.equal(placeAfter("ArrowLeft", { cursor: 0, count: 9, columns: 3 }), -1)
})

test("other keys do not walk", () => {
  for (const key of ["Enter", "x", " ", "Escape", "f", "N"]) {
    assert.equal(placeAfter(key, { cursor: 4, count: 9, columns: 3 }), undefined)
  }
})
