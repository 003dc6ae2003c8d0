const KEPT_FOR = 5000

// Numbers events and keeps those of the last seconds, for each inbox. Returns a function that adds one event and gives
// the inbox's events. Numbers start at the clock, so that those of a page that is loaded anew are higher.
export function outbox(clock = Date.now) {
  const recent = new Map()
  let number = clock()
  return (to, name, value) => {
    const at = clock()
    const kept = (recent.get(to) || []).filter((event) => at - event.at <= KEPT_FOR)
    recent.set(to, [...kept, { number: ++number, to, name, value, at }])
    return recent.get(to)
  }
}

const posted = outbox()

// Tell Python what was done. Events carry a number and stay for some seconds in a state, which goes with every message:
// a trigger can be lost on the way (see events.py). By inbox, so that they outlive a remount.
export function report(component, name, value) {
  component.setStateValue("did", posted(component.data.inbox, name, value))
}
