import assert from "node:assert/strict"
import test from "node:test"

import { watchSettings } from "../../whalecam/app/components/shared/address.js"
import { DEFAULTS, settingsOf } from "../../whalecam/app/components/shared/settings.js"

test("an empty address gives the defaults", () => {
  assert.deepEqual(settingsOf(""), { opacity: 0.6, threshold: 0, colours: "magma", outline: true, heat: true })
})

test("what the address says counts, other parameters do not", () => {
  const search = "?opacity=0&threshold=0.25&colours=turbo&outline=false&heat=false&run=x"
  const expected = { opacity: 0, threshold: 0.25, colours: "turbo", outline: false, heat: false }
  assert.deepEqual(settingsOf(search), expected)
})

for (const [value, expected] of [["7", 1], ["-1", 0], ["1", 1], ["0.05", 0.05], ["1e-2", 0.01]]) {
  test(`an opacity of ${value} is held in 0 to 1`, () => assert.equal(settingsOf(`?opacity=${value}`).opacity, expected))
}

for (const value of ["abc", "", "NaN", "Infinity", "-Infinity"]) {
  test(`an opacity of "${value}" counts as left out`, () => {
    assert.equal(settingsOf(`?opacity=${value}`).opacity, DEFAULTS.opacity)
  })
}

for (const [value, expected] of [["false", false], ["FALSE", false], ["TRUE", true], ["", true], ["no", true]]) {
  test(`outline=${value} is ${expected}`, () => assert.equal(settingsOf(`?outline=${value}`).outline, expected))
}

test("of a parameter that stands there twice the first counts", () => {
  assert.equal(settingsOf("?threshold=0.1&threshold=0.9").threshold, 0.1)
})

// Goes to one address after the other, and gives the opacities that a watcher was told.
function told(searches, arrive) {
  const opacities = []
  globalThis.location = { search: "" }
  const stop = watchSettings((settings) => opacities.push(settings.opacity))
  for (const search of searches) {
    location.search = search
    arrive()
  }
  stop()
  location.search = "?opacity=0.9"
  arrive()
  return opacities
}

const SEARCHES = ["?opacity=0.5", "?opacity=0.5&run=x", "?run=x", "?opacity=0.6", "?opacity=0"]

test("a watcher is told of every other look, once, until it stops", () => {
  globalThis.window = { navigation: new EventTarget() }
  const arrive = () => window.navigation.dispatchEvent(new Event("currententrychange"))
  assert.deepEqual(told(SEARCHES, arrive), [0.5, 0.6, 0])
})

test("a browser that tells of no navigation is asked again and again", (context) => {
  globalThis.window = {}
  let look = () => undefined
  context.mock.method(globalThis, "setInterval", (callback) => {
    look = callback
    return 1
  })
  context.mock.method(globalThis, "clearInterval", () => (look = () => undefined))
  assert.deepEqual(told(SEARCHES, () => look()), [0.5, 0.6, 0])
})
