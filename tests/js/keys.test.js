import assert from "node:assert/strict"
import test from "node:test"

import { keyIsOurs, keyOf, reasonKey } from "../../whalecam/app/components/shared/keys.js"

// node has no elements. This one matches the selectors that it is told to, whatever stands around them in a list.
globalThis.Element = class {
  constructor(...selectors) {
    this.selectors = selectors
  }

  matches(list) {
    return this.selectors.some((selector) => list.split(", ").includes(selector))
  }
}

const pressed = (key, path = [], more = {}) => ({ key, composedPath: () => path, ...more })

test("letters are the same with caps lock, other keys keep their names", () => {
  assert.deepEqual(["f", "F", "?", " ", "ArrowLeft"].map((key) => keyOf({ key })), ["f", "f", "?", " ", "ArrowLeft"])
})

test("a key on the bare page is ours", () => assert.equal(keyIsOurs(pressed("f", [new Element("body"), {}]), {}), true))

for (const more of ["defaultPrevented", "ctrlKey", "metaKey", "altKey", "repeat"]) {
  test(`a key with ${more} is not ours, not even in our own element`, () => {
    const own = new Element()
    assert.equal(keyIsOurs(pressed("f", [own], { [more]: true }), own), false)
  })
}

test("a key in our own element is ours, whatever stands around it", () => {
  const own = new Element("textarea")
  assert.equal(keyIsOurs(pressed("f", [own, new Element("[role=dialog]")]), own), true)
})

for (const selector of ["textarea", "select", "[contenteditable=true]", "[role=grid]", "[role=dialog]"]) {
  test(`a letter in ${selector} is not ours`, () => {
    assert.equal(keyIsOurs(pressed("f", [new Element(selector)]), {}), false)
  })
}

for (const selector of ["[role=slider]", "[role=tab]", "[role=radio]", "[role=spinbutton]"]) {
  test(`on ${selector} letters are ours and arrows are not`, () => {
    assert.equal(keyIsOurs(pressed("f", [new Element(selector)]), {}), true)
    assert.equal(keyIsOurs(pressed("ArrowLeft", [new Element(selector)]), {}), false)
  })
}

test("keys of reasons are the numbers from one to how many there are", () => {
  assert.deepEqual(["1", "3", "4", "0", "a", "12", ""].map((key) => reasonKey(key, 3)), ["1", "3", ...Array(5).fill(undefined)])
  assert.equal(reasonKey("1", undefined), undefined)
})
