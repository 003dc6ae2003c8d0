// The path of a file in a folder that was dropped: browsers state it for folders that were chosen only.

// What file-selector, with which Streamlit takes drops, notes on a file: "/mine/orca/0.jpg", "mine/orca/0.jpg", "./0.jpg".
export function pathOf(noted) {
  const parts = typeof noted === "string" ? noted.split("/").filter((part) => part !== "" && part !== ".") : []
  return parts.length > 1 ? parts.join("/") : ""
}

// Lets `webkitRelativePath` of all files say so too, once for each page that is loaded.
export function statePaths(kind) {
  const stated = Object.getOwnPropertyDescriptor(kind.prototype, "webkitRelativePath")
  if (!stated?.get || stated.get.statesDrops) return
  const get = function get() {
    return stated.get.call(this) || pathOf(this.relativePath)
  }
  get.statesDrops = true
  Object.defineProperty(kind.prototype, "webkitRelativePath", { ...stated, get })
}
