// The small images on cards.
const PATHS = {
  flag: "M5 21V4h13l-2.5 4.5L18 13H7v8z",
  keep: "M9.5 17.5 4.5 12.5l1.8-1.8 3.2 3.2 8.2-8.2 1.8 1.8z",
  unsure: "M11 15.5h2v2h-2zM12 6a4 4 0 0 0-4 4h2a2 2 0 1 1 3.2 1.6c-1.2.9-2.2 1.6-2.2 3.1h2c0-1 .6-1.4 1.5-2.1A4 4 0 0 0 12 6z",
  open: "M14 4h6v6h-2V7.4l-7.3 7.3-1.4-1.4L16.6 6H14zM5 6h6v2H7v9h9v-4h2v6H5z",
  tick: "M10 16.2 5.8 12l-1.4 1.4L10 19 20 9l-1.4-1.4z",
}

export function icon(holder, name, title) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  picture.setAttribute("viewBox", "0 0 24 24")
  picture.setAttribute("aria-hidden", "true")
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
  path.setAttribute("d", PATHS[name] || PATHS.unsure)
  picture.append(path)
  holder.append(picture)
  if (title) holder.title = title
}
