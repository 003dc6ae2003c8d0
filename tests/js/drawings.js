import assert from "node:assert/strict"

// The base64 of float32 values, least significant byte first, as Python sends them.
export function packed(values) {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => bytes.writeFloatLE(value, 4 * i))
  return bytes.toString("base64")
}

// `count` numbers in 0 to 1 that look like chance and are always the same.
export function numbers(count, seed) {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (1103515245 * state + 12345) % 2147483648
    return state / 2147483648
  })
}

// The bits of rows of # and ., packed, first bit highest.
export function bitsOf(rows) {
  const cells = [...rows.join("")]
  const bytes = new Uint8Array(Math.ceil(cells.length / 8))
  cells.forEach((cell, i) => {
    if (cell === "#") bytes[Math.floor(i / 8)] += 2 ** (7 - (i % 8))
  })
  return bytes
}

export function near(found, expected, within) {
  assert.equal(found.length, expected.length)
  for (const [i, value] of [...found].entries()) {
    assert.ok(Math.abs(value - expected[i]) <= within, `at ${i}: ${value} is not ${expected[i]}`)
  }
}
