import assert from "node:assert/strict"
import test from "node:test"

import { FIT, panned, transformOf, zoomed } from "../../whalecam/app/components/canvas/zoom.js"
import { near, numbers } from "./drawings.js"

test("the point under the pointer stays where it is", () => {
  const view = zoomed(FIT, 2, [150, 50], 600, 400)
  assert.deepEqual(view, { scale: 2, x: -150, y: -50 })
  assert.equal(transformOf(view), "translate(-150px, -50px) scale(2)")
  const further = zoomed(view, 1.5, [300, 200], 600, 400)
  const shown = (at, { scale, x }) => (at - x) / scale
  near([shown(300, further)], [shown(300, view)], 1e-9)
})

test("the image always fills its frame, and is never smaller", () => {
  let view = FIT
  const chance = numbers(400, 3)
  for (let i = 0; i + 3 < chance.length; i += 4) {
    view = zoomed(view, 0.5 + 1.5 * chance[i], [600 * chance[i + 1], 400 * chance[i + 2]], 600, 400)
    view = panned(view, 900 * (chance[i + 3] - 0.5), 900 * (chance[i] - 0.5), 600, 400)
    assert.ok(view.scale >= 1 && view.scale <= 12)
    assert.ok(view.x <= 0 && view.y <= 0)
    assert.ok(view.x + 600 * view.scale >= 600 - 1e-9 && view.y + 400 * view.scale >= 400 - 1e-9)
  }
})

test("out of the fit, nothing moves", () => {
  assert.deepEqual(zoomed(FIT, 0.5, [10, 10], 600, 400), { scale: 1, x: 0, y: 0 })
  assert.deepEqual(panned(FIT, 50, -50, 600, 400), { scale: 1, x: 0, y: 0 })
})
