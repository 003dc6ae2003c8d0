export const DEFAULTS = { opacity: 0.6, threshold: 0, colours: "magma", outline: true, heat: true }

// Settings of the overlay from a query string. Streamlit leaves defaults out of the URL; nonsense counts as left out.
export function settingsOf(search) {
  const asked = new URLSearchParams(search)
  const share = (name) => {
    const value = parseFloat(asked.get(name))
    return Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : DEFAULTS[name]
  }
  const flag = (name) => (asked.has(name) ? asked.get(name).toLowerCase() !== "false" : DEFAULTS[name])
  return {
    opacity: share("opacity"),
    threshold: share("threshold"),
    colours: asked.get("colours") || DEFAULTS.colours,
    outline: flag("outline"),
    heat: flag("heat"),
  }
}
