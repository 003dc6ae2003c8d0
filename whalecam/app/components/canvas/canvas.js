import { watchSettings } from "../shared/address.js"
import { watchBare } from "../shared/bare.js"
import { bytesOf } from "../shared/bytes.js"
import { element } from "../shared/elements.js"
import { report } from "../shared/events.js"
import { colourise, isLit, readable, tablesOf } from "../shared/evidence.js"
import { keyIsOurs, keyOf, reasonKey } from "../shared/keys.js"
import { contoursOf } from "../shared/outlines.js"
import { drawOutline, paintLayer, placeFrame } from "../shared/paint.js"
import { settingsOf } from "../shared/settings.js"
import { cellAt, frameOf, pixelsOf } from "./cells.js"
import { editorIn, pressKey, updateEditor } from "./editor.js"
import { drawSides, sidesIn, toggleSides } from "./sides.js"
import { FIT, panned, transformOf, zoomed } from "./zoom.js"
import { cellWords, noteOf, restWords, thresholdWords, ticksOf } from "./words.js"

const views = new WeakMap()
const KEYS = {
  n: "next", j: "next", ArrowRight: "next", p: "previous", ArrowLeft: "previous",
  f: "flag", k: "keep", u: "unsure", z: "undo", y: "redo", s: "skip", "?": "help",
}

const STEP = 1.5
// Keys that change how the image is looked at, and nothing else.
const LOOKS = {
  0: (view) => lookAt(view, FIT),
  "+": (view) => enlarge(view, STEP),
  "=": (view) => enlarge(view, STEP),
  "-": (view) => enlarge(view, 1 / STEP),
  c: (view) => showSides(view),
}

export default function (component) {
  const { parentElement } = component
  let view = views.get(parentElement)
  if (!view) {
    view = build(parentElement.querySelector(".view"))
    views.set(parentElement, view)
  }
  view.send = (name, value) => report(component, name, value)
  view.press = (name) => view.send("pressed", { name, shown: component.data.shown })
  show(view, component.data)
  return () => {
    view.stop()
    views.delete(parentElement)
  }
}

function build(root) {
  root.replaceChildren()
  const stage = element(root, "div", "stage")
  stage.tabIndex = -1
  const plane = element(stage, "div", "plane")
  const view = { root, stage, plane, zoom: FIT, isBare: false, settings: settingsOf(location.search) }
  view.photo = element(plane, "img", "photo")
  view.frame = element(plane, "div", "frame")
  view.heat = element(view.frame, "canvas", "heat")
  view.cell = element(view.frame, "div", "cell")
  view.outline = element(plane, "canvas", "outline")
  view.editor = editorIn(view, root)
  view.sides = sidesIn(root)
  const strip = element(root, "div", "strip")
  const words = element(strip, "div", "words")
  view.caption = element(words, "div", "caption")
  view.readout = element(words, "div", "readout")
  view.beside = element(words, "button", "beside", "Side by side (C)")
  view.beside.onclick = () => showSides(view)
  view.legend = legendIn(strip)
  view.note = element(root, "div", "note")
  listen(view)
  return view
}

function legendIn(strip) {
  const whole = element(strip, "div", "legend")
  const bar = element(whole, "div", "bar")
  return {
    whole,
    bar,
    ramp: element(bar, "canvas", "ramp"),
    threshold: element(bar, "i", "threshold"),
    needle: element(bar, "i", "needle"),
    ticks: element(whole, "div", "ticks"),
  }
}

function listen(view) {
  const onKey = (event) => {
    const isInside = event.composedPath().includes(view.root)
    if (!event.ctrlKey && !event.metaKey && !event.altKey && (isInside || keyIsOurs(event, view.stage))) {
      const isEditing = view.editor.isOn
      if (pressKey(view.editor, event)) event.preventDefault()
      if (isEditing || view.editor.isOn) return
    }
    if (LOOKS[keyOf(event)] && keyIsOurs(event, view.stage)) {
      event.preventDefault()
      LOOKS[keyOf(event)](view)
      return
    }
    const name = KEYS[keyOf(event)] || reasonKey(keyOf(event), view.data.reasons)
    if (!name || view.editor.isOn || !keyIsOurs(event, view.stage)) return
    event.preventDefault()
    view.press(name)
  }
  document.addEventListener("keydown", onKey)
  const unwatch = watchSettings((settings) => {
    view.settings = settings
    paint(view)
  })
  const unwatchBare = watchBare((event) => !view.editor.isOn && keyIsOurs(event, view.stage), (isBare) => {
    view.isBare = isBare
    paint(view)
  })
  const resized = new ResizeObserver(() => paint(view))
  resized.observe(view.stage)
  view.photo.onload = () => {
    view.stage.style.setProperty("--ratio", view.photo.naturalWidth / view.photo.naturalHeight)
    view.stage.classList.remove("waiting", "broken")
    paint(view)
  }
  view.photo.onerror = () => view.stage.classList.add("broken")
  view.stage.onpointermove = view.stage.onpointerdown = (event) => {
    if (event.type === "pointerdown" && event.pointerType === "mouse") view.stage.setPointerCapture(event.pointerId)
    else if (event.buttons === 1 && event.pointerType === "mouse" && !view.editor.isOn) {
      lookAt(view, panned(view.zoom, event.movementX, event.movementY, view.stage.clientWidth, view.stage.clientHeight))
    }
    point(view, event)
  }
  view.stage.addEventListener("wheel", (event) => onWheel(view, event), { passive: false })
  view.stage.onpointerleave = (event) => event.pointerType === "mouse" && point(view, null)
  view.stop = () => {
    document.removeEventListener("keydown", onKey)
    unwatch()
    unwatchBare()
    resized.disconnect()
  }
}

function showSides(view) {
  if (!view.data.sides) return
  toggleSides(view.sides)
  paint(view)
}

// The wheel enlarges; where all is shown already, turning back scrolls the page.
function onWheel(view, event) {
  if (event.ctrlKey || !event.deltaY || (event.deltaY > 0 && view.zoom.scale === 1)) return
  event.preventDefault()
  const box = view.stage.getBoundingClientRect()
  enlarge(view, event.deltaY < 0 ? STEP : 1 / STEP, [event.clientX - box.left, event.clientY - box.top])
  point(view, event)
}

function enlarge(view, factor, at) {
  const { clientWidth: wide, clientHeight: high } = view.stage
  lookAt(view, zoomed(view.zoom, factor, at || [wide / 2, high / 2], wide, high))
}

function lookAt(view, zoom) {
  view.zoom = zoom
  view.plane.style.transform = transformOf(zoom)
  view.stage.classList.toggle("enlarged", zoom.scale > 1)
}

function show(view, data) {
  view.data = data
  view.tableOf = tablesOf(data.tables)
  view.layer = data.layer ? readable(data.layer) : null
  view.loops = data.mask ? contoursOf(bytesOf(data.mask), data.maskGrid) : []
  view.stage.style.setProperty("--tall", data.fills ? `max(${data.height}px, 100vh - 21rem)` : `${data.height}px`)
  view.photo.alt = data.caption
  if (view.photo.getAttribute("src") !== data.picture) {
    view.stage.classList.add("waiting")
    lookAt(view, FIT)
    view.photo.src = data.picture
  }
  if (view.layer) placeFrame(view.frame, view.layer.frame)
  view.caption.textContent = data.caption
  view.beside.hidden = !data.sides
  updateEditor(view.editor, data)
  point(view, null)
  paint(view)
}

function paint(view) {
  const { stage, layer } = view
  const settings = settingsIn(view)
  const wide = stage.clientWidth
  const high = stage.clientHeight
  if (!view.data || !wide || !high) return
  drawSides(view.sides, { data: view.data, layer, table: view.tableOf(settings.colours), settings })
  const density = Math.min(2, window.devicePixelRatio || 1)
  const lit = isLit(layer)
  view.frame.hidden = !layer
  view.heat.hidden = !lit
  if (lit) {
    const [rows, columns] = pixelsOf(layer.frame, wide, high, density)
    paintLayer(view.heat, layer, view.tableOf(settings.colours), settings, rows, columns)
  }
  view.outline.hidden = !settings.outline || !view.loops.length
  if (!view.outline.hidden) drawOutline(view.outline, view.loops, wide, high, density)
  paintLegend(view, lit)
}

function paintLegend(view, lit) {
  const { layer, legend } = view
  const settings = settingsIn(view)
  legend.whole.hidden = !lit
  legend.whole.classList.toggle("off", !settings.heat)
  view.note.textContent = noteOf(layer, settings, view.loops.length > 0)
  if (!lit) return
  paintRamp(legend.ramp, view.tableOf(settings.colours), settings)
  legend.threshold.hidden = settings.threshold <= 0
  legend.threshold.style.left = `${100 * settings.threshold}%`
  legend.threshold.title = `threshold ${thresholdWords(layer, settings)}`
  legend.ticks.replaceChildren()
  for (const label of ticksOf(layer)) element(legend.ticks, "span", "", label)
}

// What the address asks for, but for the heat that a key switched off.
function settingsIn({ settings, isBare }) {
  return isBare ? { ...settings, heat: false } : settings
}

function paintRamp(canvas, table, settings) {
  const field = Float32Array.from({ length: 256 }, (_, i) => i)
  const ramp = colourise(field, 255, table, settings.heat ? settings.opacity : 0, settings.threshold)
  Object.assign(canvas, { width: 256, height: 1 }).getContext("2d").putImageData(new ImageData(ramp, 256, 1), 0, 0)
}

// The cell under the pointer, its value with sign, and its place on the colour bar.
function point(view, event) {
  const { layer } = view
  const at = event && layer ? cellAt(layer, view.frame.getBoundingClientRect(), event.clientX, event.clientY) : null
  view.cell.hidden = !at || view.editor.isOn
  view.legend.needle.hidden = !at || !(at.value >= 0) || !(layer.top > 0)
  view.readout.textContent = at ? cellWords(at, layer) : restWords(layer, Boolean(event))
  if (!at) return
  placeFrame(view.cell, frameOf(at, layer))
  view.legend.needle.style.left = `${100 * Math.min(1, at.value / layer.top)}%`
}
