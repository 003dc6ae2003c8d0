// A child element with a class and, where given, plain text. Texts of a data set are never read as markup.
export function element(parent, name, kind, text) {
  const child = document.createElement(name)
  if (kind) child.className = kind
  if (text !== undefined) child.textContent = text
  parent.append(child)
  return child
}
