import assert from "node:assert/strict"
import test from "node:test"

import { breaking, element } from "../../whalecam/app/components/shared/elements.js"
import { icon } from "../../whalecam/app/components/shared/icons.js"

// As much of a document as these need. It has no innerHTML: markup could not be written into it.
class Node {
  constructor(name) {
    Object.assign(this, { name, children: [], attributes: {} })
    Object.seal(Object.assign(this, { className: "", textContent: null, title: "" }))
  }

  append(child) {
    this.children.push(child)
  }

  setAttribute(name, value) {
    this.attributes[name] = value
  }
}
globalThis.document = { createElement: (name) => new Node(name), createElementNS: (_, name) => new Node(name) }

const HOSTILE = "<img src=x onerror=\"document.title='owned'\">&amp;"

test("a text is set as text, markup and all", () => {
  const parent = new Node("div")
  const child = element(parent, "span", "line", HOSTILE)
  assert.deepEqual([child.name, child.className, child.textContent], ["span", "line", HOSTILE])
  assert.deepEqual(child.children, [])
  assert.deepEqual(parent.children, [child])
})

test("without class and text there is neither; an empty text is a text", () => {
  const child = element(new Node("div"), "i")
  assert.deepEqual([child.className, child.textContent], ["", null])
  assert.equal(element(new Node("div"), "i", "", "").textContent, "")
})

test("a name may break behind its underscores and hyphens, and stays the same text", () => {
  const parts = (text) => breaking(new Node("div"), "div", "title", text).children.map((part) => part.name ?? part)
  assert.deepEqual(parts("bottlenose_dolphin"), ["bottlenose_", "wbr", "dolphin"])
  assert.deepEqual(parts("a__b-c_"), ["a__", "wbr", "b-", "wbr", "c_"])
  assert.deepEqual(parts(HOSTILE), [HOSTILE])
  assert.deepEqual(parts(""), [""])
})

test("an icon is hidden from readers, and its holder says what it means", () => {
  const holder = new Node("span")
  icon(holder, "flag", HOSTILE)
  const [picture] = holder.children
  assert.deepEqual([picture.name, picture.attributes["aria-hidden"], holder.title], ["svg", "true", HOSTILE])
  assert.match(picture.children[0].attributes.d, /^M5 21/)
})

test("a verdict without an image of its own has the question mark", () => {
  const [known, unknown] = [new Node("span"), new Node("span")]
  icon(known, "unsure", "")
  icon(unknown, "other", "")
  const drawn = (holder) => holder.children[0].children[0].attributes.d
  assert.equal(drawn(unknown), drawn(known))
})
