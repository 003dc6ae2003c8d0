// Which options of a list are shown, and what is chosen after a click.
export const FEW = 8

// The chosen ones first to be seen, then as they come, at most FEW unless all are wanted; with a search, those that match.
export function shownOf(options, { all, search }) {
  const wanted = search.trim().toLowerCase()
  if (wanted) return options.filter((option) => option.word.toLowerCase().includes(wanted)).slice(0, 4 * FEW)
  if (all) return options
  const some = options.slice(0, FEW)
  return [...some, ...options.slice(FEW).filter((option) => option.isChosen)]
}

export function chosenAfter(section, value) {
  const chosen = section.options.filter((option) => option.isChosen).map((option) => option.value)
  if (section.kind === "one") return chosen.includes(value) ? null : value
  return chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value]
}
