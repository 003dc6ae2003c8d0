import assert from "node:assert/strict"
import test from "node:test"

import { barsOf, drawn, endsOf, rangeWords } from "../../whalecam/app/components/facets/bars.js"
import { chosenAfter, FEW, shownOf } from "../../whalecam/app/components/facets/options.js"
import { keepScale, keptScale } from "../../whalecam/app/components/gallery/density.js"
import { isOtherPage } from "../../whalecam/app/components/gallery/places.js"

const ENDS = [0, 0.25, 0.5, 0.75, 1]

for (const [chosen, bars] of [
  [[null, null], [0, 4]],
  [[0.25, 0.75], [1, 3]],
  [[0.3, null], [1, 4]],
  [[null, 0.5], [0, 2]],
  [[0.9, 0.91], [3, 4]],
  [[7, 9], [3, 4]],
  [[-3, -2], [0, 1]],
]) {
  test(`${chosen} are the bars ${bars}`, () => assert.deepEqual(barsOf(chosen, ENDS), bars))
}

test("bars become ends, open at the edges, and the same bars again", () => {
  for (let from = 0; from < 4; from += 1) {
    for (let to = from + 1; to <= 4; to += 1) {
      const ends = endsOf([from, to], ENDS)
      assert.deepEqual(ends, [from ? ENDS[from] : null, to < 4 ? ENDS[to] : null])
      assert.deepEqual(barsOf(ends, ENDS), [from, to])
    }
  }
})

test("a hand may draw either way", () => {
  assert.deepEqual(drawn(1, 3), [1, 4])
  assert.deepEqual(drawn(3, 1), [1, 4])
  assert.deepEqual(drawn(2, 2), [2, 3])
})

test("a range in words", () => {
  assert.equal(rangeWords([null, null], [-1, 0, 12]), "−1.00 to 12.0, all")
  assert.equal(rangeWords([null, 0.5], ENDS), "below 0.50")
  assert.equal(rangeWords([0.5, null], ENDS), "0.50 and more")
  assert.equal(rangeWords([0.25, 0.5], ENDS), "0.25 to 0.50")
})

const options = (count, chosen = []) =>
  Array.from({ length: count }, (_, at) => ({ value: `v${at}`, word: `Word ${at}`, count: 1, isChosen: chosen.includes(at) }))

test("few options are shown, those that are chosen always", () => {
  const shown = (list, how) => shownOf(list, { all: false, search: "", ...how }).map((option) => option.value)
  assert.equal(shown(options(20), {}).length, FEW)
  assert.deepEqual(shown(options(20, [15]), {}).at(-1), "v15")
  assert.equal(shown(options(20), { all: true }).length, 20)
  assert.deepEqual(shown(options(20), { search: " WORD 19" }), ["v19"])
})

test("a click adds or takes back; of one, it changes", () => {
  const several = { kind: "several", options: options(3, [1]) }
  assert.deepEqual(chosenAfter(several, "v2"), ["v1", "v2"])
  assert.deepEqual(chosenAfter(several, "v1"), [])
  const one = { ...several, kind: "one" }
  assert.equal(chosenAfter(one, "v2"), "v2")
  assert.equal(chosenAfter(one, "v1"), null)
})

test("the size of the cards is kept, and nonsense is not", () => {
  const kept = new Map()
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, String(value)) }
  assert.equal(keptScale(storage), 1)
  keepScale("1.4", storage)
  assert.equal(keptScale(storage), 1.4)
  for (const nonsense of ["", "large", "99", "-1"]) {
    keepScale(nonsense, storage)
    assert.equal(keptScale(storage), 1)
  }
  assert.equal(keptScale(undefined), 1)
})

test("another page has none of the cards that were shown", () => {
  assert.equal(isOtherPage(["a", "b"], ["c", "d"]), true)
  assert.equal(isOtherPage(["a", "b"], ["b", "c"]), false)
})
