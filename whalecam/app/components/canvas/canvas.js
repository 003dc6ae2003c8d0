const views = new WeakMap()
const LARGEST = 1024
const KEYS = {
  n: "next", j: "next", ArrowRight: "next", p: "previous", ArrowLeft: "previous",
  f: "flag", k: "keep", u: "unsure", z: "undo", y: "redo", s: "skip", "?": "help",
}

export default function (component) {
  const { parentElement } = component
  let view = views.get(parentElement)
  if (!view) {
    view = build(parentElement.querySelector(".view"))
    views.set(parentElement, view)
  }
  view.press = (name) => report(component, "pressed", { name, shown: component.data.shown })
  show(view, component.data)
  return () => {
    view.stop()
    views.delete(parentElement)
  }
}

function build(root) {
  root.replaceChildren()
  const stage = element(root, "div", "stage")
  const view = { root, stage, settings: settingsOf(location.search) }
  view.photo = element(stage, "img", "photo")
  view.frame = element(stage, "div", "frame")
  view.heat = element(view.frame, "canvas", "heat")
  view.cell = element(view.frame, "div", "cell")
  view.outline = element(stage, "canvas", "outline")
  const strip = element(root, "div", "strip")
  const words = element(strip, "div", "words")
  view.caption = element(words, "div", "caption")
  view.readout = element(words, "div", "readout")
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
    const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key]
    if (!name || !keyIsOurs(event, view.stage)) return
    event.preventDefault()
    view.press(name)
  }
  document.addEventListener("keydown", onKey)
  const unwatch = watchSettings((settings) => {
    view.settings = settings
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
  view.stage.onpointermove = view.stage.onpointerdown = (event) => point(view, event)
  view.stage.onpointerleave = (event) => event.pointerType === "mouse" && point(view, null)
  view.stop = () => {
    document.removeEventListener("keydown", onKey)
    unwatch()
    resized.disconnect()
  }
}

function show(view, data) {
  view.data = data
  view.tableOf = tablesOf(data.tables)
  view.layer = data.layer ? readable(data.layer) : null
  view.loops = data.mask ? contoursOf(bytesOf(data.mask), data.maskGrid) : []
  view.stage.style.setProperty("--tall", `${data.height}px`)
  view.photo.alt = data.caption
  if (view.photo.getAttribute("src") !== data.picture) {
    view.stage.classList.add("waiting")
    view.photo.src = data.picture
  }
  if (view.layer) placeFrame(view.frame, view.layer.frame)
  view.caption.textContent = data.caption
  point(view, null)
  paint(view)
}

function paint(view) {
  const { stage, layer, settings } = view
  const wide = stage.clientWidth
  const high = stage.clientHeight
  if (!view.data || !wide || !high) return
  const density = Math.min(2, window.devicePixelRatio || 1)
  const lit = Boolean(layer && layer.top > 0)
  view.frame.hidden = !layer
  view.heat.hidden = !lit
  if (lit) {
    const [left, top, right, bottom] = layer.frame
    const size = [(bottom - top) * high * density, (right - left) * wide * density]
    const shrink = Math.min(1, LARGEST / Math.max(...size))
    const [rows, columns] = size.map((length) => Math.max(1, Math.round(length * shrink)))
    paintLayer(view.heat, layer, view.tableOf(settings.colours), settings, rows, columns)
  }
  view.outline.hidden = !settings.outline || !view.loops.length
  if (!view.outline.hidden) drawOutline(view.outline, view.loops, wide, high, density)
  paintLegend(view, lit)
}

function paintLegend(view, lit) {
  const { layer, settings, legend } = view
  legend.whole.hidden = !lit
  legend.whole.classList.toggle("off", !settings.heat)
  view.note.textContent = noteOf(view, lit)
  if (!lit) return
  const inUnit = (value) => number(value, layer)
  const field = Float32Array.from({ length: 256 }, (_, i) => i)
  const table = view.tableOf(settings.colours)
  const ramp = colourise(field, 255, table, settings.heat ? settings.opacity : 0, settings.threshold)
  Object.assign(legend.ramp, { width: 256, height: 1 }).getContext("2d").putImageData(new ImageData(ramp, 256, 1), 0, 0)
  legend.threshold.hidden = settings.threshold <= 0
  legend.threshold.style.left = `${100 * settings.threshold}%`
  legend.threshold.title = `threshold ${number(settings.threshold * layer.top, layer)} ${layer.unit}`
  const over = Math.max(...layer.positive) > layer.top ? "≥ " : ""
  const labels = [inUnit(0), inUnit(layer.top / 2), `${over}${inUnit(layer.top)} ${layer.unit}`]
  legend.ticks.replaceChildren()
  for (const label of labels) element(legend.ticks, "span", "", label)
}

function noteOf(view, lit) {
  const { layer, settings } = view
  if (!layer) return "There is no map for this picture."
  if (!lit) return "Nothing in this picture speaks for this class: no positive evidence to paint."
  if (!settings.heat) return "The heat is switched off."
  const parts = [`Bilinear between ${layer.height} × ${layer.width} cells`]
  if (settings.threshold > 0) parts.push(`below ${number(settings.threshold * layer.top, layer)} ${layer.unit} nothing is painted`)
  parts.push("the weaker, the more transparent")
  parts.push("evidence against is left clear")
  if (settings.outline && view.loops.length) parts.push("white line: the mask")
  return `${parts.join(" · ")}.`
}

// The cell under the pointer, its value with sign, and its place on the colour bar.
function point(view, event) {
  const { layer } = view
  const at = event && layer ? cellAt(view, event) : null
  view.cell.hidden = !at
  view.legend.needle.hidden = !at || !(at.value >= 0) || !(layer.top > 0)
  if (!at) {
    const outside = event && layer && "The network did not see this part of the picture."
    view.readout.textContent = outside || (layer && layer.top > 0 ? strongest(layer) : "")
    return
  }
  placeFrame(view.cell, [at.column / layer.width, at.row / layer.height, (at.column + 1) / layer.width, (at.row + 1) / layer.height])
  view.legend.needle.style.left = `${100 * Math.min(1, at.value / layer.top)}%`
  const against = at.value < 0 ? ", against" : ""
  view.readout.textContent = `${signed(at.value, layer)} ${layer.unit}${against} · row ${at.row + 1}, column ${at.column + 1}`
}

function cellAt(view, event) {
  const { layer } = view
  const box = view.frame.getBoundingClientRect()
  const column = Math.floor(((event.clientX - box.left) / box.width) * layer.width)
  const row = Math.floor(((event.clientY - box.top) / box.height) * layer.height)
  if (column < 0 || row < 0 || column >= layer.width || row >= layer.height) return null
  return { row, column, value: layer.signed[row * layer.width + column] }
}

function strongest(layer) {
  let best = 0
  layer.signed.forEach((value, i) => {
    if (!(value <= layer.signed[best])) best = i
  })
  const row = Math.floor(best / layer.width) + 1
  return `Strongest ${signed(layer.signed[best], layer)} ${layer.unit} · row ${row}, column ${(best % layer.width) + 1}`
}

// Three significant digits of the top, for every number of a layer, so that they can be compared at a glance.
function number(value, layer) {
  if (!Number.isFinite(value)) return "undefined"
  const size = Math.floor(Math.log10(layer.top || Math.abs(value) || 1))
  return value.toFixed(value === 0 ? 0 : Math.max(0, Math.min(9, 2 - size))).replace("-", "−")
}

function signed(value, layer) {
  return (value > 0 ? "+" : "") + number(value, layer)
}
