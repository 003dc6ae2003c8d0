// A range of a score as bars of its histogram. A bar is a place from 0; a range is [first, behind the last].

// Ends in the score's own numbers → bars; an end that is open lies at the edge, one between two bars at the nearer one.
export function barsOf([low, high], ends) {
  const last = ends.length - 1
  const nearest = (value) => ends.reduce((best, end, at) => (Math.abs(end - value) < Math.abs(ends[best] - value) ? at : best), 0)
  const from = low === null ? 0 : Math.min(nearest(low), last - 1)
  return [from, high === null ? last : Math.max(from + 1, nearest(high))]
}

// Bars → ends in the score's own numbers. The outermost bars hold all that lies beyond them too, so their ends are open.
export function endsOf([from, to], ends) {
  return [from <= 0 ? null : ends[from], to >= ends.length - 1 ? null : ends[to]]
}

// The range that a hand draws from one bar to another, both included.
export function drawn(start, end) {
  return [Math.min(start, end), Math.max(start, end) + 1]
}

export function rangeWords([low, high], ends) {
  if (low === null && high === null) return `${inWords(ends[0])} to ${inWords(ends.at(-1))}, all`
  if (low === null) return `below ${inWords(high)}`
  return high === null ? `${inWords(low)} and more` : `${inWords(low)} to ${inWords(high)}`
}

function inWords(value) {
  return (Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)).replace("-", "−")
}
