import assert from "node:assert/strict"
import test from "node:test"

import { labelOf, onCards } from "../../whalecam/app/components/gallery/card.js"
import { paintLayer, placeFrame } from "../../whalecam/app/components/shared/paint.js"

globalThis.ImageData = class {
  constructor(pixels, wide, high) {
    Object.assign(this, { pixels, wide, high })
  }
}

const SETTINGS = { opacity: 1, threshold: 0, heat: true }
const TABLE = new Uint8Array(768).fill(9)

// A canvas that remembers what was painted last.
function canvasOf(width, height) {
  const canvas = { width, height, painted: null }
  canvas.getContext = () => ({ putImageData: (image) => (canvas.painted = image) })
  return canvas
}

const alphasOf = (canvas) => [...canvas.painted.pixels].filter((_, i) => i % 4 === 3)

test("a layer is painted at the size that is asked for", () => {
  const canvas = canvasOf(300, 150)
  paintLayer(canvas, { positive: [1, 2], height: 1, width: 2, top: 2 }, TABLE, SETTINGS, 2, 2)
  assert.deepEqual([canvas.width, canvas.height, canvas.painted.wide, canvas.painted.high], [2, 2, 2, 2])
  assert.deepEqual(alphasOf(canvas), [128, 255, 128, 255])
})

test("without the heat everything is clear", () => {
  const canvas = canvasOf(2, 1)
  paintLayer(canvas, { positive: [1, 2], height: 1, width: 2, top: 2 }, TABLE, { ...SETTINGS, heat: false }, 1, 2)
  assert.deepEqual(alphasOf(canvas), [0, 0])
})

test("the upsampled field is kept until the size changes", () => {
  const [canvas, layer] = [canvasOf(2, 1), { positive: [1, 2], height: 1, width: 2, top: 2 }]
  paintLayer(canvas, layer, TABLE, SETTINGS, 1, 2)
  const { field } = layer
  paintLayer(canvas, layer, TABLE, { ...SETTINGS, opacity: 0.5 }, 1, 2)
  assert.equal(layer.field, field)
  assert.deepEqual(alphasOf(canvas), [64, 128])
  paintLayer(canvas, layer, TABLE, SETTINGS, 1, 4)
  assert.equal(layer.field.length, 4)
})

test("a frame is laid over its part of the image", () => {
  const element = { style: {} }
  placeFrame(element, [0.25, 0, 0.75, 0.5])
  assert.deepEqual(element.style, { left: "25%", top: "0%", width: "50%", height: "50%" })
})

test("a card's label says all its words, and leaves out what is not there", () => {
  const card = { title: "species 1", lines: ["1.jpg", "loss 0.10"], badge: { word: "Suspect" }, review: "flag" }
  assert.equal(labelOf(card), "species 1, 1.jpg, loss 0.10, Suspect, flagged")
  assert.equal(labelOf({ title: "species 1", lines: [], badge: null, review: "" }), "species 1")
})

test("heat on cards is fainter than on the large image, and off while a key is held", () => {
  assert.deepEqual(onCards({ opacity: 1, heat: true, outline: true }), { opacity: 0.75, heat: true, outline: true })
  assert.equal(onCards({ opacity: 0.6, heat: true, isBare: true }).heat, false)
})
