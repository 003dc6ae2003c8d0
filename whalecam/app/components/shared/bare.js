// The heat that a key hides: a tap switches it off or on; while the key is held down, which repeats it, it is the other
// way, and as it was once the key is let go.
export function bareSwitch() {
  return { isBare: false, isDown: false, isHeld: false }
}

// What follows from a press of the key, or from one of its repetitions.
export function pressed(state, isRepeated) {
  if (!isRepeated) return { isBare: !state.isBare, isDown: true, isHeld: false }
  return { ...state, isHeld: state.isDown }
}

export function released(state) {
  return { isBare: state.isHeld ? !state.isBare : state.isBare, isDown: false, isHeld: false }
}

// Follow the key `h` all over the page: `isOurs(event)` says whether it is meant for us, `changed(isBare)` what came of
// it. Returns a way to stop.
export function watchBare(isOurs, changed) {
  let state = bareSwitch()
  const become = (next) => {
    const differs = next.isBare !== state.isBare
    state = next
    if (differs) changed(state.isBare)
  }
  const onDown = (event) => {
    if (event.key.toLowerCase() !== "h" || !(event.repeat ? state.isDown : isOurs(event))) return
    event.preventDefault()
    become(pressed(state, event.repeat))
  }
  const onUp = (event) => {
    if (event.key.toLowerCase() === "h") become(released(state))
  }
  const onLeave = () => become(released(state))
  document.addEventListener("keydown", onDown)
  document.addEventListener("keyup", onUp)
  window.addEventListener("blur", onLeave)
  return () => {
    document.removeEventListener("keydown", onDown)
    document.removeEventListener("keyup", onUp)
    window.removeEventListener("blur", onLeave)
  }
}
