// What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which is what a single line gets.
import ipaddr from 'ipaddr.js';

/** A name for the block; text that is no address stands for itself. */
export function addressBlock(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
