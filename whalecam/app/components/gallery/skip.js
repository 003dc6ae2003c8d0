// The first stop of the keyboard on a page of cards: a way past the menu and the filters, seen while it has the focus.
const LOOK = {
  position: "fixed", left: "1rem", top: "0.5rem", zIndex: "1000001", padding: "0.5rem 0.9rem", border: "0",
  borderRadius: "0.4rem", font: "inherit", cursor: "pointer", transform: "translateY(-5rem)",
}

// Returns a way to take the button away again.
export function skipButton(root, act) {
  const button = document.createElement("button")
  button.type = "button"
  button.className = "whalecam-skip"
  button.textContent = "Skip to the images"
  Object.assign(button.style, LOOK)
  button.onfocus = () => {
    const theme = getComputedStyle(root)
    button.style.background = theme.getPropertyValue("--st-text-color")
    button.style.color = theme.getPropertyValue("--st-background-color")
    button.style.fontFamily = theme.fontFamily
    button.style.transform = "none"
  }
  button.onblur = () => (button.style.transform = LOOK.transform)
  button.onclick = act
  document.body.prepend(button)
  return () => button.remove()
}
