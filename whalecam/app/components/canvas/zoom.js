// How an image is enlarged and moved within its frame: `scale` from 1 on, `x` and `y` of its corner in CSS pixels.

export const FIT = { scale: 1, x: 0, y: 0 }
const LARGEST_SCALE = 12

// Enlarged by a factor about a point of the frame, which stays where it is as far as the image fills the frame.
export function zoomed(view, factor, [px, py], wide, high) {
  const scale = Math.min(LARGEST_SCALE, Math.max(1, view.scale * factor))
  const grown = scale / view.scale
  return within({ scale, x: px - (px - view.x) * grown, y: py - (py - view.y) * grown }, wide, high)
}

export function panned(view, dx, dy, wide, high) {
  return within({ ...view, x: view.x + dx, y: view.y + dy }, wide, high)
}

export function transformOf({ scale, x, y }) {
  return `translate(${x}px, ${y}px) scale(${scale})`
}

// No edge of the image leaves its side of the frame.
function within({ scale, x, y }, wide, high) {
  return { scale, x: Math.min(0, Math.max(wide * (1 - scale), x)), y: Math.min(0, Math.max(high * (1 - scale), y)) }
}
