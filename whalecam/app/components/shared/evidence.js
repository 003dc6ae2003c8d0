import { bytesOf } from "./bytes.js"
import { DEFAULTS } from "./settings.js"

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
export function upsample(grid, height, width, rows, columns) {
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
export function colourise(field, top, table, opacity, threshold) {
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
export function tablesOf(packed) {
  const tables = {}
  for (const [name, text] of Object.entries(packed)) tables[name] = bytesOf(text)
  return (name) => tables[name] || tables[DEFAULTS.colours] || Object.values(tables)[0]
}

// The cells of a layer: its signed values, and their positive part, which is what is painted.
export function readable(layer) {
  const values = new Float32Array(bytesOf(layer.values).buffer)
  return { ...layer, signed: values, positive: values.map((value) => (value > 0 && value < Infinity ? value : 0)) }
}

// Whether a layer has anything to paint.
export function isLit(layer) {
  return Boolean(layer && layer.top > 0)
}
