// A key goes to us only where nothing else wants it: letters not in fields, arrows not on sliders and tabs either.
const WRITING = [
  "input:not([type=checkbox], [type=radio], [type=range])",
  "textarea, select, [contenteditable=true]",
  "[role=grid], [role=listbox], [role=combobox], [role=menu], [role=dialog]",
].join(", ")
const STEPPING = "input, [role=slider], [role=tab], [role=radio], [role=spinbutton]"

export function keyIsOurs(event, own) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return false
  const path = event.composedPath()
  if (path.includes(own)) return true
  const wanted = event.key.startsWith("Arrow") ? `${WRITING}, ${STEPPING}` : WRITING
  return !path.some((node) => node instanceof Element && node.matches(wanted))
}

// The name of a key, the same with and without caps lock.
export function keyOf(event) {
  return event.key.length === 1 ? event.key.toLowerCase() : event.key
}

// The key of a reason for the next verdict, of which there are `count`, from "1" on.
export function reasonKey(key, count) {
  return /^[1-9]$/.test(key) && Number(key) <= count ? key : undefined
}
