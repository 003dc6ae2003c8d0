// The mask that is being drawn: one byte a cell, row by row, and what brush, box and run lengths do to it.

export function blankMask(width, height) {
  return { width, height, cells: new Uint8Array(width * height) }
}

// Lengths of runs of 0 and 1 in turn, row by row, the first of 0: [0, 4] is a mask of four cells that are all 1.
export function runsOf({ cells }) {
  const runs = []
  let value = 0
  let start = 0
  for (let i = 0; i <= cells.length; i++) {
    if (i < cells.length && cells[i] === value) continue
    if (i < cells.length || i > start) runs.push(i - start)
    start = i
    value = 1 - value
  }
  return runs
}

export function maskOf({ width, height, runs }) {
  const mask = blankMask(width, height)
  let at = 0
  runs.forEach((length, i) => {
    if (i % 2) mask.cells.fill(1, at, at + length)
    at += length
  })
  return mask
}

export function copyOf(mask) {
  return { ...mask, cells: mask.cells.slice() }
}

// Every cell whose centre lies within `radius` of the line between two points; a point is a line to itself.
export function stroke(mask, [x0, y0], [x1, y1], radius, value) {
  const { width, height, cells } = mask
  const [left, right] = spanOf(x0, x1, radius, width)
  const [top, bottom] = spanOf(y0, y1, radius, height)
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (distance(x + 0.5, y + 0.5, x0, y0, x1, y1) <= radius) cells[y * width + x] = value
    }
  }
}

// Every cell that a rectangle with these two corners touches.
export function box(mask, [x0, y0], [x1, y1], value) {
  const { width, height, cells } = mask
  const [left, right] = spanOf(x0, x1, 0, width)
  const [top, bottom] = spanOf(y0, y1, 0, height)
  for (let y = top; y < bottom; y++) cells.fill(value, y * width + left, y * width + right)
}

// RGBA bytes of a mask: a tint inside, and a line of cells along its edge.
export function tinted({ width, height, cells }, tint, line) {
  const pixels = new Uint8ClampedArray(4 * cells.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      if (!cells[i]) continue
      const isEdge =
        (x > 0 && !cells[i - 1]) || (x + 1 < width && !cells[i + 1]) ||
        (y > 0 && !cells[i - width]) || (y + 1 < height && !cells[i + width])
      pixels.set(isEdge ? line : tint, 4 * i)
    }
  }
  return pixels
}

export function shareOf({ cells }) {
  return cells.length ? cells.reduce((sum, cell) => sum + cell, 0) / cells.length : 0
}

function spanOf(from, to, radius, length) {
  const first = Math.max(0, Math.floor(Math.min(from, to) - radius))
  return [Math.min(first, length), Math.max(0, Math.min(length, Math.ceil(Math.max(from, to) + radius)))]
}

function distance(x, y, x0, y0, x1, y1) {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const squared = dx * dx + dy * dy
  const along = squared ? Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / squared)) : 0
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy)
}
