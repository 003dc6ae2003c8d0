import assert from "node:assert/strict"
import test from "node:test"

import { keptOf, knownOf, standing } from "../../whalecam/app/components/gallery/returning.js"

const last = { path: "/Leaks", left: 1000, selected: ["a"] }

test("a list is as it was after a remount that is soon, and after Back whenever", () => {
  assert.equal(keptOf(last, { path: "/Leaks", now: 5000, back: false }), last)
  assert.equal(keptOf(last, { path: "/Leaks", now: 500000, back: false }), null)
  assert.equal(keptOf(last, { path: "/Leaks", now: 500000, back: true }), last)
  assert.equal(keptOf(last, { path: "/Top_losses", now: 1001, back: true }), null)
  assert.equal(keptOf(undefined, { path: "/Leaks", now: 1, back: true }), null)
})

test("a selection that was left before it was told is told, an empty one too", () => {
  const isTold = (known, selected) => known === JSON.stringify(selected)
  assert.ok(!isTold(knownOf({ ...last, untold: true }), []))
  assert.ok(isTold(knownOf({ ...last, untold: false }), []) && isTold(knownOf(null), []))
  assert.ok(!isTold(knownOf({ ...last, untold: false }), ["a"]))
})

test("where a list stands is told by its first card below the header", () => {
  const card = (image, top) => ({ image, root: { getBoundingClientRect: () => ({ top, bottom: top + 100 }) } })
  assert.deepEqual(standing([card("a", -300), card("b", -50), card("c", 60)]), { image: "c", top: 60 })
  assert.deepEqual(standing([card("a", -30), card("b", 80)]), { image: "a", top: -30 })
  assert.equal(standing([]), undefined)
})
