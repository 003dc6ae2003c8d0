import { element } from "../shared/elements.js"
import { report } from "../shared/events.js"
import { barsOf, drawn, endsOf, rangeWords } from "./bars.js"
import { chosenAfter, FEW, shownOf } from "./options.js"

const panels = new WeakMap()

export default function (component) {
  const { parentElement, data } = component
  const own = panels.get(parentElement) || { root: parentElement.querySelector(".facets"), open: new Map(), lists: new Map() }
  panels.set(parentElement, own)
  own.choose = (name, chosen) => report(component, "chosen", { name, chosen })
  own.sections = data.sections
  show(own)
}

function show(own) {
  const focused = own.root.getRootNode().activeElement?.id
  own.root.replaceChildren(...own.sections.map((section) => sectionOf(own, section)))
  if (focused) own.root.querySelector(`#${CSS.escape(focused)}`)?.focus({ preventScroll: true })
}

function sectionOf(own, section) {
  const whole = document.createElement("div")
  whole.className = "section"
  const part = element(whole, "details")
  const isSet = section.kind === "range" ? section.chosen.some((end) => end !== null) : section.options.some((o) => o.isChosen)
  part.open = own.open.get(section.name) ?? (section.isOpen || isSet)
  part.ontoggle = () => own.open.set(section.name, part.open)
  const head = element(part, "summary", isSet ? "set" : "", section.title)
  head.id = `head-${section.name}`
  if (section.kind === "range") histogram(own, section, element(part, "div", "range"))
  else list(own, section, element(part, "div", "list"))
  if (isSet) clearer(own, section, whole)
  return whole
}

// Beside the heading and not in it: a control inside a control is not read out.
function clearer(own, section, whole) {
  const button = element(whole, "button", "clear", "clear")
  button.id = `clear-${section.name}`
  button.setAttribute("aria-label", `Clear ${section.title}`)
  button.onclick = () => own.choose(section.name, { several: [], one: null, range: [null, null] }[section.kind])
}

function list(own, section, place) {
  const how = own.lists.get(section.name) || { all: false, search: "" }
  own.lists.set(section.name, how)
  const rows = document.createElement("div")
  const most = Math.max(1, ...section.options.map((option) => option.count))
  const draw = () => {
    rows.replaceChildren(...shownOf(section.options, how).map((option) => optionOf(own, section, option, most)))
  }
  if (section.options.length > FEW + 4) searchField(section, how, draw, place)
  place.append(rows)
  draw()
  if (section.options.length > FEW && !how.search) {
    const more = element(place, "button", "more", how.all ? "Fewer" : `All ${section.options.length}`)
    more.onclick = () => {
      how.all = !how.all
      show(own)
    }
  }
}

function searchField(section, how, draw, place) {
  const field = element(place, "input", "search")
  Object.assign(field, { type: "search", id: `find-${section.name}`, placeholder: "find", value: how.search })
  field.setAttribute("aria-label", `Find in ${section.title}`)
  field.oninput = () => {
    how.search = field.value
    draw()
  }
}

function optionOf(own, section, option, most) {
  const row = document.createElement("label")
  row.className = option.count || option.isChosen ? "option" : "option none"
  row.style.setProperty("--share", `${(100 * option.count) / most}%`)
  const box = element(row, "input")
  Object.assign(box, { type: "checkbox", checked: option.isChosen, id: `${section.name}-${option.value}` })
  box.onchange = () => own.choose(section.name, chosenAfter(section, option.value))
  if (option.shape) element(row, "i", `mark ${option.shape}`).style.background = option.colour
  element(row, "span", "word", option.word).title = option.word
  element(row, "span", "images", option.count.toLocaleString("en"))
  return row
}

function histogram(own, section, place) {
  const { ends, counts } = section
  let range = barsOf(section.chosen, ends)
  const chart = element(place, "div", "bars")
  const most = Math.max(1, ...counts)
  const bars = counts.map((count) => {
    const bar = element(chart, "i")
    bar.style.height = `${count ? Math.max(4, 100 * Math.sqrt(count / most)) : 0}%`
    return bar
  })
  const words = element(place, "div", "words")
  const slides = ["From", "Below"].map((word, at) => slide(section, place, word, at))
  const draw = () => {
    bars.forEach((bar, at) => bar.classList.toggle("out", at < range[0] || at >= range[1]))
    slides.forEach((field, at) => (field.value = range[at]))
    words.textContent = rangeWords(endsOf(range, ends), ends)
  }
  const send = () => own.choose(section.name, endsOf(range, ends))
  slides.forEach((field, at) => {
    field.oninput = () => {
      range[at] = at ? Math.max(range[0] + 1, Number(field.value)) : Math.min(range[1] - 1, Number(field.value))
      draw()
    }
    field.onchange = send
  })
  const move = (next) => {
    range = next
    draw()
  }
  brush(chart, counts.length, move, send)
  draw()
}

function slide(section, place, word, at) {
  const field = element(place, "input", `end ${at ? "high" : "low"}`)
  Object.assign(field, { type: "range", min: 0, max: section.counts.length, step: 1, id: `${section.name}-${at}` })
  field.setAttribute("aria-label", `${section.title}: ${word.toLowerCase()}`)
  return field
}

// Draw a range over the bars with the pointer.
function brush(chart, bars, move, end) {
  let start = null
  const barAt = (event) => {
    const box = chart.getBoundingClientRect()
    return Math.min(bars - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * bars)))
  }
  chart.onpointerdown = (event) => {
    start = barAt(event)
    chart.setPointerCapture(event.pointerId)
    move(drawn(start, start))
  }
  chart.onpointermove = (event) => start !== null && move(drawn(start, barAt(event)))
  chart.onpointerup = () => {
    start = null
    end()
  }
  chart.onpointercancel = chart.onpointerup
}
