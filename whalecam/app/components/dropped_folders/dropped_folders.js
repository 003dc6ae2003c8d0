import { statePaths } from "./paths.js"

export default function () {
  statePaths(window.File)
}
