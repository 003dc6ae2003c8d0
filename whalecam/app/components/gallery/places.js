// Where the cursor goes. Cards are given as the names of their images, in order; a place is an index among them.

// Where the cursor belongs among the new cards: on its card; where that has left, on the next one that is still here,
// else behind the last one before it, where the cards of the next page move up. Before any card was shown, on `start`.
export function placeAmong(images, { shown, cursor, start }) {
  const at = new Map(images.map((image, index) => [image, index]))
  if (!shown.length) return at.get(start) ?? 0
  const next = shown.slice(cursor).find((image) => at.has(image))
  if (next !== undefined) return at.get(next)
  const previous = shown.slice(0, cursor).findLast((image) => at.has(image))
  return previous === undefined ? 0 : Math.min(at.get(previous) + 1, images.length - 1)
}

// The place behind the last of `gone`; at the end, the last place. The cursor's own where none is shown.
export function placeBehind(images, gone, cursor) {
  const last = images.findLastIndex((image) => gone.includes(image))
  return last < 0 ? cursor : Math.min(last + 1, images.length - 1)
}

// A card that a click takes out of the selection must not be what the next key signs: the focus goes to one that stays.
export function nearestSelected(images, selected, index) {
  const places = [...images.keys()].filter((place) => selected.has(images[place]))
  return places.sort((a, b) => Math.abs(a - index) - Math.abs(b - index))[0] ?? index
}

// The place that a key leads to, which may be none of a card; undefined for keys that do not walk.
export function placeAfter(key, { cursor, count, columns }) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, n: 1, j: 1, p: -1 }
  if (Object.hasOwn(steps, key)) return cursor + steps[key]
  return { Home: 0, End: count - 1 }[key]
}

// Whether no card of those that were shown is shown any more.
export function isOtherPage(shown, images) {
  const now = new Set(images)
  return !shown.some((image) => now.has(image))
}
