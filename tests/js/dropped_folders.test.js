import assert from "node:assert/strict"
import test from "node:test"

import { pathOf, statePaths } from "../../whalecam/app/components/dropped_folders/paths.js"

for (const [noted, expected] of [
  ["/mine/orca/0.jpg", "mine/orca/0.jpg"],
  ["mine/orca/0.jpg", "mine/orca/0.jpg"],
  ["./mine/0.jpg", "mine/0.jpg"],
  ["./0.jpg", ""],
  ["/0.jpg", ""],
  ["0.jpg", ""],
  ["", ""],
  [undefined, ""],
  [7, ""],
]) {
  test(`the path of a file noted as ${noted} is ${JSON.stringify(expected)}`, () => {
    assert.equal(pathOf(noted), expected)
  })
}

function kindOfFile() {
  return class {
    #chosen
    constructor(chosen, dropped) {
      this.#chosen = chosen
      if (dropped !== undefined) this.relativePath = dropped
    }
    get webkitRelativePath() {
      return this.#chosen
    }
  }
}

test("a dropped file states its path, a chosen one keeps its own, a file alone has none", () => {
  const File = kindOfFile()
  statePaths(File)
  assert.equal(new File("", "/mine/orca/0.jpg").webkitRelativePath, "mine/orca/0.jpg")
  assert.equal(new File("set/0.jpg", "./0.jpg").webkitRelativePath, "set/0.jpg")
  assert.equal(new File("", "./0.jpg").webkitRelativePath, "")
  assert.equal(new File("").webkitRelativePath, "")
})

test("files state their paths once, however often it is asked for", () => {
  const File = kindOfFile()
  statePaths(File)
  const first = Object.getOwnPropertyDescriptor(File.prototype, "webkitRelativePath").get
  statePaths(File)
  assert.equal(Object.getOwnPropertyDescriptor(File.prototype, "webkitRelativePath").get, first)
})

test("a browser without the property is left alone", () => {
  class File {}
  statePaths(File)
  assert.equal("webkitRelativePath" in File.prototype, false)
})
