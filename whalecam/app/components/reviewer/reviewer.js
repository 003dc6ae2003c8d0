const place = "whalecam.reviewer"
export default function ({ data, setStateValue }) {
  document.documentElement.dataset.reviewerRead = "" // what draws the rest of the page waits for it
  if (data.name) return localStorage.setItem(place, data.name)
  const stored = data.isKnown ? null : localStorage.getItem(place)
  if (stored) setStateValue("stored", stored) // each word of it runs the page once more
}
