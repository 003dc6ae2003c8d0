// Which images are selected, what a verdict key would sign, and how both are said.

export function inOrder(images, selected) {
  return images.filter((image) => selected.has(image))
}

// The selection with one image more, or less where it was in it.
export function toggled(selected, image) {
  const next = new Set(selected)
  if (!next.delete(image)) next.add(image)
  return next
}

// The images between two places, both included.
export function rangeOf(images, anchor, index) {
  const [from, to] = [anchor, index].sort((a, b) => a - b)
  return images.slice(from, to + 1)
}

// What a verdict key signs: the card with the focus; the whole selection where that holds it, or where no card has it.
export function targetsOf(images, selected, focused) {
  return focused !== undefined && !selected.has(focused) ? [focused] : inOrder(images, selected)
}

export function countWords(chosen, count) {
  return `${chosen.length} of ${count} selected${chosen.length ? `: ${named(chosen)}` : ""}`
}

// Which images the keys would sign now.
export function hintWords(images, isOpenable, reasons = 0) {
  const verdict = images.length ? `F K U sign ${named(images)}` : "F K U verdict"
  const reason = reasons ? ` · 1–${reasons} reason` : ""
  return `arrows · X or drag: select${isOpenable ? " · Enter open" : ""} · ${verdict}${reason} · Z undo · Y redo · H heat`
}

function named(images) {
  return images.length > 1 ? `${images[0]} and ${images.length - 1} more` : images[0]
}
