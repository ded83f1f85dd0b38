import ipaddr from 'ipaddr.js';

/** Bits of an address that name its network: an IPv6 host has a whole /64 to choose from, an IPv4 host a single address. */
const IPV6_PREFIX_BITS = 64;

/**
 * Network of a client address: IPv6 by /64, IPv4 (mapped into IPv6 too) by address. Other text, which no gateway writes, is
 * returned as it is.
 */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString().replace(/%.*$/, '')}/${IPV6_PREFIX_BITS}`).toString()}/${IPV6_PREFIX_BITS}`;
}
