const figures = () => document.querySelector('[data-testid="stMetric"]')
const LATEST = performance.now() + 30000
export default function ({ setStateValue }) {
  const look = () => {
    if (!figures() && performance.now() < LATEST) requestAnimationFrame(look)
    else requestAnimationFrame(() => setTimeout(() => setStateValue("drawn", true))) // the frame is out by then
  }
  look()
}
