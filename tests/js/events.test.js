import assert from "node:assert/strict"
import test from "node:test"

import { outbox, report } from "../../whalecam/app/components/shared/events.js"

// A clock that shows what it was last set to.
function clockAt(start) {
  const clock = () => clock.now
  clock.now = start
  return clock
}

test("events are numbered upwards from the clock, over all inboxes", () => {
  const post = outbox(clockAt(1000))
  assert.deepEqual(post("a", "opened", "1.jpg"), [{ number: 1001, to: "a", name: "opened", value: "1.jpg", at: 1000 }])
  assert.deepEqual(post("b", "pressed", 5), [{ number: 1002, to: "b", name: "pressed", value: 5, at: 1000 }])
  assert.deepEqual(post("a", "opened", "2.jpg").map((event) => event.number), [1001, 1003])
})

test("events are kept for five seconds, and no longer", () => {
  const clock = clockAt(0)
  const post = outbox(clock)
  const numbers = []
  for (const now of [0, 4999, 5000, 5001, 20000]) {
    clock.now = now
    numbers.push(post("a", "pressed", now).map((event) => event.at))
  }
  assert.deepEqual(numbers, [[0], [0, 4999], [0, 4999, 5000], [4999, 5000, 5001], [20000]])
})

test("a list that was handed out does not change", () => {
  const post = outbox(clockAt(0))
  const first = post("a", "pressed", 1)
  post("a", "pressed", 2)
  assert.equal(first.length, 1)
})

test("a report goes to the component's inbox as the state `did`", () => {
  const said = []
  const component = { data: { inbox: "here" }, setStateValue: (name, value) => said.push([name, value]) }
  report(component, "pressed", { name: "flag" })
  report(component, "opened", "x")
  assert.deepEqual(said.map(([name, events]) => [name, events.map((event) => [event.to, event.name, event.value])]), [
    ["did", [["here", "pressed", { name: "flag" }]]],
    ["did", [["here", "pressed", { name: "flag" }], ["here", "opened", "x"]]],
  ])
  assert.equal(said[1][1][1].number, said[1][1][0].number + 1)
})
