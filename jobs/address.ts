// Which addresses a webhook may be sent to: public ones only, and the one that was checked is the one that is connected
// to. A receiver's URL is written by people; without this it would be a way into our own network (SSRF).
import { lookup as resolve } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The range that IANA has given out for public IPv6 addresses: 2000::/3. */
const PUBLIC_IPV6 = ipaddr.parseCIDR('2000::/3');

/** An address, or a name that leads to one, that webhooks may not be sent to. */
export class ForbiddenAddress extends Error {
  readonly code = 'FORBIDDEN_ADDRESS';
  constructor(host: string, address: string) {
    super(
      `${host} leads to ${address}, which is not a public address; JOBS_ALLOW_HOSTS lists hosts that may be called all the same`,
    );
  }
}

/** Public by the registries of IANA; an IPv4 address inside an IPv6 one is judged as what it is. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || (parsed as ipaddr.IPv6).match(PUBLIC_IPV6);
}

/** Where a URL leads to by itself: a literal address never comes to a name look-up. @throws ForbiddenAddress */
export function assertLiteralAllowed(url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(host) && !isPublicAddress(host)) throw new ForbiddenAddress(url.hostname, host);
}

/** True for a URL whose host the configuration names, as `host` (any port) or `host:port`. */
export function isAllowedHost(url: URL, allowedHosts: readonly string[]): boolean {
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return allowedHosts.includes(url.hostname) || allowedHosts.includes(`${url.hostname}:${port}`);
}

/**
 * A name look-up for `net.connect`, which connects to what this answers and looks nothing up again, so a name that
 * answers otherwise the second time gains nothing. One forbidden address among those of a name forbids the name.
 */
export function publicLookup(resolver: typeof resolve = resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolver(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const forbidden = addresses.find(({ address }) => !isPublicAddress(address));
      if (forbidden !== undefined) return callback(new ForbiddenAddress(hostname, forbidden.address), []);
      if (options.all === true) return callback(null, addresses);
      const [first] = addresses;
      callback(null, first!.address, first!.family);
    });
  };
}
