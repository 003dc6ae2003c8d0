// Whether a click on the page `here` follows a link to another page in this tab.
export function leadsAway(event, here) {
  const link = event.composedPath().find((each) => each.tagName === "A" && each.href)
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button || link.target === "_blank") return false
  const [target, page] = [new URL(link.href, here), new URL(here)]
  return target.origin === page.origin && target.pathname !== page.pathname && !link.download
}

// An address, given as seen from the page `here`, without parameters that stand in it twice with one value, as after a
// link that repeats those of its page.
export function withoutRepeats(address, here) {
  const target = new URL(address ?? here, here)
  target.search = [...new Set(target.search.slice(1).split("&").filter(Boolean))].join("&")
  return target
}
