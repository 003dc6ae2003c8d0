import assert from "node:assert/strict"
import test from "node:test"

import { leadsAway, withoutRepeats } from "../../whalecam/app/components/history/addresses.js"
import { leadsOn } from "../../whalecam/app/components/link/wanted.js"

const HERE = "http://whales.test/Leaks?run=demo&class=a"

function clickOn(link, more = {}) {
  return { button: 0, composedPath: () => [{ tagName: "SPAN" }, link, { tagName: "BODY" }], ...more }
}

const PAGE = { tagName: "A", href: "http://whales.test/Queue?run=demo" }

for (const [link, expected, what] of [
  [PAGE, true, "another page"],
  [{ ...PAGE, href: "/Queue" }, true, "another page, from the root"],
  [{ ...PAGE, href: "http://whales.test/Leaks?run=other" }, false, "the same page with other parameters"],
  [{ ...PAGE, href: "http://elsewhere.test/Queue" }, false, "another server"],
  [{ ...PAGE, target: "_blank" }, false, "another page in a new tab"],
  [{ ...PAGE, download: "run.csv" }, false, "a file"],
  [{ tagName: "A", href: "" }, false, "nowhere"],
  [{ tagName: "BUTTON", href: PAGE.href }, false, "a button"],
]) {
  test(`a click that follows a link to ${what} leads ${expected ? "away" : "nowhere"}`, () => {
    assert.equal(Boolean(leadsAway(clickOn(link), HERE)), expected)
  })
}

for (const more of [{ ctrlKey: true }, { metaKey: true }, { shiftKey: true }, { button: 1 }]) {
  test(`a click with ${JSON.stringify(more)} leaves this tab where it is`, () => {
    assert.equal(leadsAway(clickOn(PAGE, more), HERE), false)
  })
}

for (const [address, expected] of [
  ["?a=1&b=2&a=1", "http://whales.test/Leaks?a=1&b=2"],
  ["?a=1&a=2", "http://whales.test/Leaks?a=1&a=2"],
  ["?&&a=%20x&", "http://whales.test/Leaks?a=%20x"],
  ["/Queue", "http://whales.test/Queue"],
  ["?", "http://whales.test/Leaks"],
  [undefined, HERE],
  [null, HERE],
  [`${HERE}&run=demo#top`, `${HERE}#top`],
]) {
  test(`the address ${address} becomes ${expected}`, () => assert.equal(withoutRepeats(address, HERE).href, expected))
}

test("a kept link leads on within this server only, and not to where one is", () => {
  assert.equal(leadsOn("/Leaks?run=demo", "/"), true)
  for (const wanted of ["/", null, "", "//elsewhere.test/", "http://elsewhere.test/", "javascript:alert(1)", "Leaks"]) {
    assert.equal(leadsOn(wanted, "/"), false)
  }
})
