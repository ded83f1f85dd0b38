import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';
import ipaddr from 'ipaddr.js';

/** May the peer at this address tell for whom it forwards? */
export type TrustFunction = (address: string, hop: number) => boolean;

/**
 * Compiles addresses, networks (`10.0.0.0/8`) and the names `loopback`, `linklocal` and `uniquelocal`; none trusts no peer.
 *
 * @throws TypeError one of them is neither. A number is refused, also as a count of proxies: a count would let a client
 * that reaches the port directly spoof any address.
 */
export function trustIn(proxies: readonly string[]): TrustFunction {
  const number = proxies.find((proxy) => /^\d+$/.test(proxy));
  if (number !== undefined) throw new TypeError(`invalid IP address: ${number}`);
  return proxies.length === 0 ? () => false : proxyAddr.compile([...proxies]);
}

/**
 * Address of the client: the peer itself, or, when the peer is a trusted proxy, the last entry of `X-Forwarded-For` that no trusted
 * proxy wrote of another. Entries before it are the client's own and can be spoofed.
 */
export function clientAddress(request: IncomingMessage, trust: TrustFunction): string {
  return proxyAddr(request, trust);
}

/** Bits of an IPv6 address that name its network: one host has a whole /64 to itself. */
const IPV6_PREFIX_BITS = 64;

/**
 * Key of one client in limits per address: an IPv4 address (mapped into IPv6 too), or the /64 of an IPv6 address. Text that is
 * no address, which no gateway writes, is returned as it is.
 */
export function networkOf(address: string): string {
  if (!address.includes(':') || !ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  const prefix = `/${IPV6_PREFIX_BITS}`;
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString().replace(/%.*$/, '')}${prefix}`).toString()}${prefix}`;
}
