// Selection by dragging: a frame drawn with the mouse over the cards.
import { element } from "../shared/elements.js"

const LEAST_PX = 6

// The frame between two points of the grid.
export function bandOf(from, to) {
  const [left, right] = [from.x, to.x].sort((a, b) => a - b)
  const [top, bottom] = [from.y, to.y].sort((a, b) => a - b)
  return { left, top, right, bottom }
}

// The places of the boxes ({left, top, right, bottom}) that a frame touches.
export function touched(boxes, band) {
  return [...boxes.keys()].filter((at) => {
    const box = boxes[at]
    return box.left < band.right && box.right > band.left && box.top < band.bottom && box.bottom > band.top
  })
}

// Follow the mouse over a grid. `begin(event)` says whether a drag may start, `drawn(band)` what is framed so far,
// `ended()` that the hand let go. A click without a drag stays a click.
export function watchBand(grid, { begin, drawn, ended }) {
  let from
  let line
  const placeOf = (event) => {
    const box = grid.getBoundingClientRect()
    return { x: event.clientX - box.left, y: event.clientY - box.top }
  }
  grid.addEventListener("pointerdown", (event) => {
    from = event.button === 0 && event.pointerType === "mouse" && begin(event) ? placeOf(event) : undefined
  })
  grid.addEventListener("pointermove", (event) => {
    if (!from || !(event.buttons & 1)) return
    const to = placeOf(event)
    if (!line && Math.hypot(to.x - from.x, to.y - from.y) < LEAST_PX) return
    if (!line) grid.setPointerCapture(event.pointerId)
    line ??= element(grid, "div", "band")
    const band = bandOf(from, to)
    const [wide, high] = [band.right - band.left, band.bottom - band.top]
    Object.assign(line.style, { left: px(band.left), top: px(band.top), width: px(wide), height: px(high) })
    if (line.parentNode !== grid) grid.append(line)
    drawn(band)
  })
  const end = () => {
    if (line) ended()
    line?.remove()
    from = line = undefined
  }
  grid.addEventListener("pointerup", end)
  grid.addEventListener("pointercancel", end)
}

function px(number) {
  return `${number}px`
}
