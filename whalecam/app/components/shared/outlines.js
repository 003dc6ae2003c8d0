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

// Closed outlines of a packed n × n mask: lists of [x, y] relative to the image, each point averaged with its
// neighbours (¼ ½ ¼) twice.
export function contoursOf(packed, n) {
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
