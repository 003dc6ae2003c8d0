import assert from "node:assert/strict"
import test from "node:test"

import { bareSwitch, pressed, released } from "../../whalecam/app/components/shared/bare.js"

const after = (state, ...steps) => steps.reduce((now, step) => step(now), state)
const down = (state) => pressed(state, false)
const repeat = (state) => pressed(state, true)

test("a tap hides the heat, and another one shows it", () => {
  const once = after(bareSwitch(), down, released)
  assert.equal(once.isBare, true)
  assert.equal(after(once, down, released).isBare, false)
})

test("a key that is held hides the heat until it is let go", () => {
  const held = after(bareSwitch(), down, repeat, repeat)
  assert.equal(held.isBare, true)
  assert.equal(released(held).isBare, false)
  assert.equal(released(released(held)).isBare, false)
})

test("held while the heat is hidden, it is shown for that long", () => {
  const hidden = after(bareSwitch(), down, released)
  assert.equal(after(hidden, down, repeat).isBare, false)
  assert.equal(after(hidden, down, repeat, released).isBare, true)
})

test("a repetition of a key that went down elsewhere means nothing", () => {
  assert.deepEqual(after(bareSwitch(), repeat, released), bareSwitch())
})
