// Whether the address that was asked for leads on from `here`, within this server.
export function leadsOn(wanted, here) {
  return Boolean(wanted && wanted !== here && wanted.startsWith("/") && !wanted.startsWith("//"))
}
