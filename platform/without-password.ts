// Addresses as they may stand in logs, messages and on screens.

/**
 * One address or a comma separated list of them without who signs in, and without what follows a `?`, where a password or a token
 * may stand as well. Of a list that names the scheme but once only the last is left.
 */
export function withoutPassword(addresses: string): string {
  // A password that somebody forgot to encode may have a comma in it: another address begins with its scheme.
  return addresses
    .split(/,(?=[a-z][a-z0-9+.-]*:\/\/)/i)
    .map(oneWithoutPassword)
    .join(',');
}

/** What a query begins with: a password may have a question mark in it as well. */
const QUERY = /\?(?=[\w.%-]+[=&])/;
/** Hosts with their ports, whoever signs in, and a path. */
const HOSTS =
  /^([a-z][a-z0-9+.-]*:\/\/)?(.*@)?(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?(,(\[[\da-f:.]+\]|[\w.-]+)(:\d+)?)*(\/[^@]*)?$/is;

/** Up to the last @ that stands in no query: such a password may also have one, or slashes, in it. */
function oneWithoutPassword(address: string): string {
  const [beforeQuery = ''] = address.split(QUERY, 1);
  const shown = HOSTS.test(beforeQuery) ? beforeQuery : address;
  return shown.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1…@').replace(/\?.*/s, '');
}
