// The cells of a map: which one lies under the pointer, which one is strongest, and how finely they are painted.

const LARGEST = 1024

// The cell of a layer at a point of the page, where `box` is the layer's place on it; null outside.
export function cellAt(layer, box, x, y) {
  const column = Math.floor(((x - box.left) / box.width) * layer.width)
  const row = Math.floor(((y - box.top) / box.height) * layer.height)
  if (column < 0 || row < 0 || column >= layer.width || row >= layer.height) return null
  return cellOf(layer, row * layer.width + column)
}

// The cell with the largest value, the first of several.
export function strongestCell(layer) {
  let best = 0
  layer.signed.forEach((value, i) => {
    if (!(value <= layer.signed[best])) best = i
  })
  return cellOf(layer, best)
}

function cellOf(layer, i) {
  return { row: Math.floor(i / layer.width), column: i % layer.width, value: layer.signed[i] }
}

// The part of a layer that a cell covers: [left, top, right, bottom], relative.
export function frameOf({ row, column }, { height, width }) {
  return [column / width, row / height, (column + 1) / width, (row + 1) / height]
}

// Rows and columns of pixels for the heat in its frame of an image of `wide` × `high` CSS pixels.
export function pixelsOf([left, top, right, bottom], wide, high, density) {
  const size = [(bottom - top) * high * density, (right - left) * wide * density]
  const shrink = Math.min(1, LARGEST / Math.max(...size))
  return size.map((length) => Math.max(1, Math.round(length * shrink)))
}
