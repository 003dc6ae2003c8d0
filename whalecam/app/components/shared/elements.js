// A child element with a class and, where given, plain text. Texts of a data set are never read as markup.
export function element(parent, name, kind, text) {
  const child = document.createElement(name)
  if (kind) child.className = kind
  if (text !== undefined) child.textContent = text
  parent.append(child)
  return child
}

// A child element with a text whose names may break behind underscores and hyphens, before they break within a word.
export function breaking(parent, name, kind, text) {
  const child = element(parent, name, kind)
  text.split(/(?<=[_-])(?=[^_-])/).forEach((part, at) => {
    if (at) element(child, "wbr")
    child.append(part)
  })
  return child
}
