// Correcting the mask of the image in view: tools, pointer, keys. Nothing is sent before Save, but for Cut out.
import { element } from "../shared/elements.js"
import { keyOf } from "../shared/keys.js"
import { box, copyOf, maskOf, runsOf, shareOf, stroke, tinted } from "./brush.js"

const TINT = [0, 190, 170, 96]
const LINE = [255, 255, 255, 255]
const TOOLS = [
  { name: "add", key: "a", label: "Add", hint: "Paint the subject" },
  { name: "erase", key: "e", label: "Erase", hint: "Paint what is not the subject" },
  { name: "box", key: "b", label: "Box", hint: "Fill a box between two corners" },
  { name: "cut", key: "g", label: "Cut out", hint: "GrabCut: click two corners around the subject, and the server finds its outline" },
]
const ACTIONS = { z: "back", s: "save", Escape: "cancel", "+": "larger", "=": "larger", "-": "smaller" }
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }
const SMALLEST = 2
const LARGEST_BRUSH = 80
const STEPS_KEPT = 30
let count = 0

// `view` gives stage and plane; `send(name, value)` tells the server.
export function editorIn(view, strip) {
  const editor = { view, isOn: false, tool: "add", size: 12, earlier: [], cursor: [0, 0], corner: null, waiting: "" }
  editor.canvas = element(view.plane, "canvas", "draft")
  editor.cross = element(view.plane, "i", "cross")
  editor.bar = element(strip, "div", "tools")
  editor.bar.setAttribute("role", "toolbar")
  editor.bar.setAttribute("aria-label", "Mask")
  editor.start = button(editor.bar, "start", "Correct the mask", "Key M", () => begin(editor))
  editor.tools = TOOLS.map(({ name, key, label, hint }) =>
    button(editor.bar, name, label, `${hint} (key ${key.toUpperCase()})`, () => choose(editor, name)))
  editor.range = sizeIn(editor)
  editor.back = button(editor.bar, "back", "Undo", "Take the last stroke back (key Z)", () => back(editor))
  editor.cancel = button(editor.bar, "cancel", "Cancel", "Leave the mask as it was (key Escape)", () => end(editor))
  editor.save = button(editor.bar, "save", "Save mask", "Measure the image under this mask (key S)", () => save(editor))
  editor.words = element(strip, "div", "editing")
  editor.words.setAttribute("role", "status")
  listenOn(editor)
  draw(editor)
  return editor
}

// What the server gives now: the mask to start from, and its answer to what was sent.
export function updateEditor(editor, data) {
  if (editor.shown !== data.shown && editor.isOn) end(editor)
  editor.shown = data.shown
  editor.given = data.drawing
  const { answer } = data
  if (editor.isOn && answer && answer.id === editor.waiting) {
    editor.waiting = ""
    if (answer.kind === "saved") end(editor)
    else if (answer.kind === "refused") editor.note = answer.note
    else takeCut(editor, answer)
  }
  draw(editor)
}

// Whether a key was the editor's. While it is on, no other key means anything.
export function pressKey(editor, event) {
  const name = keyOf(event)
  if (!editor.isOn) {
    if (name !== "m" || !editor.given || event.repeat) return false
    begin(editor)
    return true
  }
  const onControl = event.composedPath()[0] instanceof HTMLElement && event.composedPath()[0].matches("button, input")
  if (onControl && (name === " " || name === "Enter" || name === "Tab" || name.startsWith("Arrow"))) return false
  const tool = TOOLS.find(({ key }) => key === name)
  if (tool) choose(editor, tool.name)
  else if (ARROWS[name]) move(editor, ARROWS[name], event.shiftKey)
  else if (name === " " || name === "Enter") put(editor, editor.cursor)
  else if (ACTIONS[name]) act(editor, ACTIONS[name])
  else return false
  return true
}

function button(parent, kind, label, title, press) {
  const made = element(parent, "button", kind, label)
  Object.assign(made, { type: "button", title, onclick: press })
  return made
}

function sizeIn(editor) {
  const label = element(editor.bar, "label", "size", "Size ")
  const range = element(label, "input", "")
  Object.assign(range, { type: "range", min: SMALLEST, max: LARGEST_BRUSH, value: editor.size })
  range.oninput = () => resize(editor, Number(range.value))
  return label
}

function listenOn(editor) {
  const { stage } = editor.view
  stage.addEventListener("pointerdown", (event) => {
    if (!editor.isOn || event.button !== 0) return
    event.preventDefault()
    stage.focus()
    stage.setPointerCapture(event.pointerId)
    const at = placeOf(editor, event)
    editor.cursor = at
    if (isBrush(editor)) remember(editor)
    if (isBrush(editor)) paintTo(editor, at, at)
    else corner(editor, at)
    editor.last = at
    editor.isDown = true
    draw(editor)
  })
  stage.addEventListener("pointermove", (event) => {
    if (!editor.isOn) return
    editor.cursor = placeOf(editor, event)
    if (editor.isDown && isBrush(editor)) paintTo(editor, editor.last, editor.cursor)
    editor.last = editor.cursor
    draw(editor)
  })
  const up = () => {
    const { corner: from, cursor } = editor
    if (editor.isDown && from && Math.hypot(from[0] - cursor[0], from[1] - cursor[1]) > 4) corner(editor, cursor)
    editor.isDown = false
  }
  stage.addEventListener("pointerup", up)
  stage.addEventListener("pointercancel", up)
}

function begin(editor) {
  if (!editor.given) return
  const mask = maskOf(editor.given)
  const size = Math.max(SMALLEST, Math.round(Math.max(mask.width, mask.height) / 40))
  Object.assign(editor, { isOn: true, mask, size, earlier: [], corner: null, waiting: "", note: "" })
  editor.cursor = [mask.width / 2, mask.height / 2]
  editor.view.stage.focus()
  draw(editor)
}

function end(editor) {
  Object.assign(editor, { isOn: false, mask: null, earlier: [], corner: null, isDown: false, waiting: "", note: "" })
  draw(editor)
}

function choose(editor, name) {
  Object.assign(editor, { tool: name, corner: null, note: "" })
  draw(editor)
}

function act(editor, action) {
  if (action === "back") back(editor)
  else if (action === "save") save(editor)
  else if (action === "cancel") end(editor)
  else resize(editor, editor.size + (action === "larger" ? 3 : -3))
}

function resize(editor, size) {
  editor.size = Math.min(LARGEST_BRUSH, Math.max(SMALLEST, size))
  draw(editor)
}

function move(editor, [dx, dy], far) {
  const step = (far ? 5 : 1) * Math.max(1, Math.round(editor.size / 2))
  const { width, height } = editor.mask
  const [x, y] = editor.cursor
  editor.cursor = [Math.min(width, Math.max(0, x + dx * step)), Math.min(height, Math.max(0, y + dy * step))]
  draw(editor)
}

// What Space and Enter do where the cross is.
function put(editor, at) {
  if (!isBrush(editor)) corner(editor, at)
  else {
    remember(editor)
    paintTo(editor, at, at)
  }
  draw(editor)
}

function isBrush(editor) {
  return editor.tool === "add" || editor.tool === "erase"
}

function paintTo(editor, from, to) {
  stroke(editor.mask, from, to, editor.size, editor.tool === "add" ? 1 : 0)
}

// The first corner is kept, the second one closes the box.
function corner(editor, at) {
  const from = editor.corner
  editor.corner = from ? null : at
  if (!from) return
  if (editor.tool === "box") {
    remember(editor)
    box(editor.mask, from, at, 1)
  } else cut(editor, from, at)
  draw(editor)
}

function cut(editor, from, at) {
  const { width, height } = editor.mask
  const corners = [from, at].map(([x, y]) => [x / width, y / height])
  editor.waiting = named()
  editor.note = "Cutting out …"
  editor.view.send("cut", { id: editor.waiting, shown: editor.shown, corners })
}

function takeCut(editor, answer) {
  editor.note = answer.note
  if (!answer.drawing) return
  remember(editor)
  editor.mask = maskOf(answer.drawing)
}

function save(editor) {
  const { width, height } = editor.mask
  editor.waiting = named()
  editor.note = "Saving …"
  editor.view.send("mask", { id: editor.waiting, shown: editor.shown, mask: { width, height, runs: runsOf(editor.mask) } })
  draw(editor)
}

function named() {
  count += 1
  return `${Date.now()}-${count}`
}

function remember(editor) {
  editor.earlier = [...editor.earlier, copyOf(editor.mask)].slice(-STEPS_KEPT)
}

function back(editor) {
  editor.mask = editor.earlier.pop() || editor.mask
  draw(editor)
}

function placeOf(editor, event) {
  const place = editor.canvas.getBoundingClientRect()
  const { width, height } = editor.mask
  return [((event.clientX - place.left) / place.width) * width, ((event.clientY - place.top) / place.height) * height]
}

function draw(editor) {
  const { isOn, mask, bar, start, given } = editor
  bar.hidden = !given && !isOn
  for (const child of bar.children) child.hidden = isOn ? child === start : child !== start
  editor.canvas.hidden = editor.cross.hidden = editor.words.hidden = !isOn
  editor.view.stage.classList.toggle("drawing", isOn)
  editor.tools.forEach((tool, i) => tool.setAttribute("aria-pressed", String(TOOLS[i].name === editor.tool)))
  if (!isOn) return
  editor.back.disabled = !editor.earlier.length
  editor.range.querySelector("input").value = editor.size
  paintMask(editor)
  const [x, y] = editor.cursor
  const wide = isBrush(editor) ? (200 * editor.size) / mask.width : 2.5
  Object.assign(editor.cross.style, {
    left: `${(100 * x) / mask.width}%`, top: `${(100 * y) / mask.height}%`, width: `${wide}%`,
  })
  editor.words.textContent = editor.note || wordsOf(editor)
}

function paintMask({ canvas, mask, corner: from, cursor }) {
  const { width, height } = mask
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  const pen = canvas.getContext("2d")
  pen.putImageData(new ImageData(tinted(mask, TINT, LINE), width, height), 0, 0)
  if (!from) return
  pen.strokeStyle = "#ffd400"
  pen.lineWidth = 2
  pen.strokeRect(from[0], from[1], cursor[0] - from[0], cursor[1] - from[1])
}

function wordsOf({ tool, mask, corner: from }) {
  const share = `The mask covers ${Math.round(100 * shareOf(mask))} % of the image.`
  const how = isBrush({ tool })
    ? "Drag, or arrows and Space. + and − change the size."
    : `Click, or arrows and Enter: ${from ? "the opposite corner" : "one corner"}.`
  return `${share} ${how} S saves, Escape cancels.`
}
