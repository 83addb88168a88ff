// Addresses as they may stand in logs, messages and on screens.

/**
 * One address or a comma separated list of them without who signs in, and without what follows a `?`, where a password or a token
 * may stand as well. Of a list that names the scheme but once only the last is left.
 */
export function withoutPassword(addresses: string): string {
  // Up to the last @: a password that somebody forgot to encode may have one, or a slash, in it.
  return addresses.replace(/(^|\/\/)((?!\/\/).)*@/g, '$1…@').replace(/\?[^,]*/g, '');
}
