import type { IncomingMessage } from 'node:http';
import proxyAddr from '@fastify/proxy-addr';

/** May the peer at this address tell for whom it forwards? */
export type TrustFunction = (address: string, hop: number) => boolean;

/**
 * Compiles addresses, networks (`10.0.0.0/8`) and the names `loopback`, `linklocal` and `uniquelocal`; none trusts no peer.
 *
 * @throws TypeError one of them is neither. A number is not taken for an address: it is no count of proxies either, which would let a
 * client that reaches the port directly say any address.
 */
export function trustIn(proxies: readonly string[]): TrustFunction {
  const number = proxies.find((proxy) => /^\d+$/.test(proxy));
  if (number !== undefined) throw new TypeError(`invalid IP address: ${number}`);
  return proxies.length === 0 ? () => false : proxyAddr.compile([...proxies]);
}

/**
 * Address of the client: the peer itself, or, when the peer is a trusted proxy, the last entry of `X-Forwarded-For` that no trusted
 * proxy wrote of another. What stands before it came from outside and proves nothing.
 */
export function clientAddress(request: IncomingMessage, trust: TrustFunction): string {
  return proxyAddr(request, trust);
}

/**
 * What counts as one client in limits per address: an IPv4 address, or the /64 of an IPv6 address, which one host has to itself.
 * IPv4 in IPv6 (`::ffff:192.0.2.1`) is its IPv4 address.
 */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head.split(':').filter((group) => group !== '');
  // `::` stands for as many zeros as are missing; only the first four groups count.
  const ending = (tail ?? '').split(':').filter((group) => group !== '');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - ending.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...ending];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
