// What both components share: settings from the URL, and evidence turned into pixels.
// Python puts this text in front of canvas.js and gallery.js, so nothing is exported here.

const DEFAULTS = { opacity: 0.6, threshold: 0, colours: "magma", outline: true, heat: true }

function bytesOf(base64) {
  return Uint8Array.from(atob(base64 || ""), (letter) => letter.charCodeAt(0))
}

// Settings of the overlay from a query string. Streamlit leaves defaults out of the URL; nonsense counts as left out.
function settingsOf(search) {
  const asked = new URLSearchParams(search)
  const share = (name) => {
    const value = parseFloat(asked.get(name))
    return Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : DEFAULTS[name]
  }
  const flag = (name) => (asked.has(name) ? asked.get(name).toLowerCase() !== "false" : DEFAULTS[name])
  return {
    opacity: share("opacity"),
    threshold: share("threshold"),
    colours: asked.get("colours") || DEFAULTS.colours,
    outline: flag("outline"),
    heat: flag("heat"),
  }
}

// Call `changed(settings)` whenever the URL asks for another look. No server is involved. Returns a way to stop.
function watchSettings(changed) {
  let last = JSON.stringify(settingsOf(location.search))
  const look = () => {
    const now = settingsOf(location.search)
    if (JSON.stringify(now) === last) return
    last = JSON.stringify(now)
    changed(now)
  }
  if (window.navigation) {
    window.navigation.addEventListener("currententrychange", look)
    return () => window.navigation.removeEventListener("currententrychange", look)
  }
  const timer = setInterval(look, 150)
  return () => clearInterval(timer)
}

// For each of `wide` output samples: its two neighbours among `narrow` cells and the weight of the second.
// Half-pixel centres, edges held, as align_corners=False.
function neighboursOf(narrow, wide) {
  const first = new Int32Array(wide)
  const second = new Int32Array(wide)
  const weight = new Float32Array(wide)
  for (let i = 0; i < wide; i++) {
    const at = Math.min(narrow - 1, Math.max(0, ((i + 0.5) * narrow) / wide - 0.5))
    first[i] = Math.floor(at)
    second[i] = Math.min(first[i] + 1, narrow - 1)
    weight[i] = at - first[i]
  }
  return { first, second, weight }
}

// Bilinear upsampling of a row-major grid (height × width) to (rows × columns), in the grid's unit.
function upsample(grid, height, width, rows, columns) {
  const across = neighboursOf(width, columns)
  const down = neighboursOf(height, rows)
  const lines = new Float32Array(height * columns)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      const left = grid[y * width + across.first[x]]
      const right = grid[y * width + across.second[x]]
      lines[y * columns + x] = left + (right - left) * across.weight[x]
    }
  }
  const field = new Float32Array(rows * columns)
  for (let y = 0; y < rows; y++) {
    const upper = down.first[y] * columns
    const lower = down.second[y] * columns
    for (let x = 0; x < columns; x++) {
      field[y * columns + x] = lines[upper + x] + (lines[lower + x] - lines[upper + x]) * down.weight[y]
    }
  }
  return field
}

// RGBA bytes of a field of evidence; `top` has full colour. Opacity grows with the evidence, as in render.overlay, so
// that weak evidence does not veil the photograph; the legend is drawn by this function too.
function colourise(field, top, table, opacity, threshold) {
  const pixels = new Uint8ClampedArray(field.length * 4)
  for (let i = 0; i < field.length; i++) {
    const share = Math.min(1, field[i] / top)
    if (share <= 0 || share < threshold) continue
    const colour = 3 * Math.round(255 * share)
    pixels[4 * i] = table[colour]
    pixels[4 * i + 1] = table[colour + 1]
    pixels[4 * i + 2] = table[colour + 2]
    pixels[4 * i + 3] = 255 * opacity * share
  }
  return pixels
}

// Colour tables by name, from {name: base64 of 256 × 3 bytes}.
function tablesOf(packed) {
  const tables = {}
  for (const [name, text] of Object.entries(packed)) tables[name] = bytesOf(text)
  return (name) => tables[name] || tables[DEFAULTS.colours] || Object.values(tables)[0]
}

// The cells of a layer: its signed values, and their positive part, which is what is painted.
function readable(layer) {
  const values = new Float32Array(bytesOf(layer.values).buffer)
  return { ...layer, signed: values, positive: values.map((value) => (value > 0 && value < Infinity ? value : 0)) }
}

// Paint a readable layer at `rows` × `columns`. The upsampled field is kept with the layer, so that opacity, threshold
// and colours cost one pass over the pixels.
function paintLayer(canvas, layer, table, settings, rows, columns) {
  if (!layer.field || layer.rows !== rows || layer.columns !== columns) {
    const field = upsample(layer.positive, layer.height, layer.width, rows, columns)
    Object.assign(layer, { field, rows, columns })
  }
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows })
  const opacity = settings.heat ? settings.opacity : 0
  const pixels = colourise(layer.field, layer.top, table, opacity, settings.threshold)
  canvas.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0)
}

// Lay an element over the part of the picture that the network saw: [left, top, right, bottom], relative.
function placeFrame(element, [left, top, right, bottom]) {
  const percent = (value) => `${100 * value}%`
  element.style.left = percent(left)
  element.style.top = percent(top)
  element.style.width = percent(right - left)
  element.style.height = percent(bottom - top)
}

// The bits of a packed n × n mask (first bit highest), softened over 3 × 3 so that the outline is not a staircase; the
// centre weighs enough that a single cell keeps its outline.
function maskField(packed, n) {
  const bit = (y, x) => (y < 0 || x < 0 || y >= n || x >= n ? 0 : (packed[(y * n + x) >> 3] >> (7 - ((y * n + x) & 7))) & 1)
  const side = n + 2
  const field = new Float32Array(side * side)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 8 * bit(y - 1, x - 1)
      for (let dy = -2; dy <= 0; dy++) for (let dx = -2; dx <= 0; dx++) sum += bit(y + dy, x + dx)
      field[y * side + x] = sum / 17
    }
  }
  return { field, side }
}

// Marching squares at one half: where the outline crosses the grid's edges, and which crossings follow one another.
function crossingsOf({ field, side }) {
  const crossings = new Map()
  for (let y = 0; y + 1 < side; y++) {
    for (let x = 0; x + 1 < side; x++) {
      // Corners clockwise; edge i runs from corner i to i + 1 and has the same name in the two cells that share it.
      const corners = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]]
      const values = corners.map(([cx, cy]) => field[cy * side + cx] - 0.5)
      const names = [2 * (y * side + x), 2 * (y * side + x + 1) + 1, 2 * ((y + 1) * side + x), 2 * (y * side + x) + 1]
      const cut = [0, 1, 2, 3].filter((i) => values[i] > 0 !== values[(i + 1) % 4] > 0)
      for (const i of cut) {
        const [from, to] = [corners[i], corners[(i + 1) % 4]]
        const t = values[i] / (values[i] - values[(i + 1) % 4])
        const point = [from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])]
        if (!crossings.has(names[i])) crossings.set(names[i], { point, next: [] })
      }
      for (let i = 0; i + 1 < cut.length; i += 2) {
        crossings.get(names[cut[i]]).next.push(names[cut[i + 1]])
        crossings.get(names[cut[i + 1]]).next.push(names[cut[i]])
      }
    }
  }
  return crossings
}

// Closed outlines of a packed n × n mask: lists of [x, y] relative to the picture, each point averaged with its
// neighbours (¼ ½ ¼) twice.
function contoursOf(packed, n) {
  const crossings = crossingsOf(maskField(packed, n))
  const loops = []
  for (const [start, first] of crossings) {
    if (first.used) continue
    const loop = []
    for (let name = start; name !== undefined; ) {
      const here = crossings.get(name)
      here.used = true
      loop.push(here.point.map((at) => (at - 0.5) / n))
      name = here.next.find((other) => !crossings.get(other).used)
    }
    loops.push(smoothed(smoothed(loop)))
  }
  return loops
}

function smoothed(loop) {
  const at = (i) => loop[(i + loop.length) % loop.length]
  return loop.map((point, i) => [0, 1].map((axis) => (at(i - 1)[axis] + 2 * point[axis] + at(i + 1)[axis]) / 4))
}

// Draw outlines: a light line of 2 px on a dark halo, so that it shows on foam and on a black back.
function drawOutline(canvas, loops, wide, high, density) {
  Object.assign(canvas, { width: Math.round(wide * density), height: Math.round(high * density) })
  const pen = canvas.getContext("2d")
  const path = new Path2D()
  for (const loop of loops) {
    loop.forEach(([x, y], i) => path[i ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height))
    path.closePath()
  }
  pen.lineJoin = "round"
  for (const [colour, thick] of [["rgba(0, 0, 0, 0.55)", 4.5], ["#ffffff", 2]]) {
    pen.strokeStyle = colour
    pen.lineWidth = thick * density
    pen.stroke(path)
  }
}

// A key goes to us only where nothing else wants it: letters not in fields, arrows not on sliders and tabs either.
const WRITING = [
  "input:not([type=checkbox], [type=radio], [type=range])",
  "textarea, select, [contenteditable=true]",
  "[role=grid], [role=listbox], [role=combobox], [role=menu], [role=dialog]",
].join(", ")
const STEPPING = "input, [role=slider], [role=tab], [role=radio], [role=spinbutton]"
function keyIsOurs(event, own) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return false
  const path = event.composedPath()
  if (path.includes(own)) return true
  const wanted = event.key.startsWith("Arrow") ? `${WRITING}, ${STEPPING}` : WRITING
  return !path.some((node) => node instanceof Element && node.matches(wanted))
}

// A child element with a class and, where given, plain text. Texts of a data set are never read as markup.
function element(parent, name, kind, text) {
  const child = document.createElement(name)
  if (kind) child.className = kind
  if (text !== undefined) child.textContent = text
  parent.append(child)
  return child
}

// Tell Python what was done. Events carry a number and stay for some seconds in a state, which goes with every message:
// a trigger can be lost on the way (see events.py). By inbox, so that they outlive a remount.
const KEPT_FOR = 5000
const recent = new Map()
let events = Date.now()
function report(component, name, value) {
  const to = component.data.inbox
  const kept = (recent.get(to) || []).filter((event) => Date.now() - event.at <= KEPT_FOR)
  recent.set(to, [...kept, { number: ++events, to, name, value, at: Date.now() }])
  component.setStateValue("did", recent.get(to))
}
