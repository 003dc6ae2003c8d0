// Evidence and outlines on the canvases of the page.
import { colourise, upsample } from "./evidence.js"

// Paint a readable layer at `rows` × `columns`. The upsampled field is kept with the layer, so that opacity, threshold
// and colours cost one pass over the pixels.
export function paintLayer(canvas, layer, table, settings, rows, columns) {
  if (!layer.field || layer.rows !== rows || layer.columns !== columns) {
    const field = upsample(layer.positive, layer.height, layer.width, rows, columns)
    Object.assign(layer, { field, rows, columns })
  }
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows })
  const opacity = settings.heat ? settings.opacity : 0
  const pixels = colourise(layer.field, layer.top, table, opacity, settings.threshold)
  canvas.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0)
}

// Lay an element over the part of the image that the network saw: [left, top, right, bottom], relative.
export function placeFrame(element, [left, top, right, bottom]) {
  element.style.left = percent(left)
  element.style.top = percent(top)
  element.style.width = percent(right - left)
  element.style.height = percent(bottom - top)
}

// Draw outlines: a light line of 2 px on a dark halo, so that it shows on foam and on a black back.
export function drawOutline(canvas, loops, wide, high, density) {
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

function percent(share) {
  return `${100 * share}%`
}
