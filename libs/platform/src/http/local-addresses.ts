import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';

/** Ranges that no server of somebody else's has: this machine, its link, and groups of machines (names of ipaddr.js). */
const LOCAL_RANGES: ReadonlySet<string> = new Set(['loopback', 'linkLocal', 'unspecified', 'multicast', 'broadcast']);
/** Metadata services of clouds that are not link-local: Alibaba Cloud, Oracle Cloud, AWS and Google Cloud by IPv6. */
const METADATA_SERVICES: ReadonlySet<string> = new Set([
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2:0:0:0:0:0:254',
  'fd20:ce:0:0:0:0:0:254',
]);
/** IPv6 ranges whose last 32 bits are the IPv4 address that a translator connects to (RFC 6052, RFC 7915). */
const TRANSLATED_RANGES: ReadonlySet<string> = new Set(['rfc6052', 'rfc6145']);

type Address = ReturnType<typeof ipaddr.process>;

/**
 * Is an IP address one that a server outside this platform cannot have: loopback, link-local (with the metadata services of clouds),
 * unspecified, multicast, or an address of this machine itself? Private networks (RFC 1918, fc00::/7) are not local: an operator's servers
 * are there. Text that is no address counts as local.
 */
export function isLocalAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return true;
  const address = translated(ipaddr.process(text));
  return (
    LOCAL_RANGES.has(address.range()) ||
    METADATA_SERVICES.has(address.toNormalizedString()) ||
    ownAddresses().has(address.toNormalizedString())
  );
}

/**
 * Does a URL name a local address itself, as `isLocalAddress` defines it, or `localhost`? Other host names are false: they are
 * checked by the addresses that they resolve to, when a connection is made.
 */
export function namesLocalAddress(url: string): boolean {
  const host = new URL(url).hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && isLocalAddress(host);
}

function translated(address: Address): Address {
  if (!(address instanceof ipaddr.IPv6) || !TRANSLATED_RANGES.has(address.range())) return address;
  return ipaddr.fromByteArray(address.toByteArray().slice(-4));
}

/** Addresses of the machine's interfaces, as they are now: everything that listens here is behind one of them. */
function ownAddresses(): ReadonlySet<string> {
  return new Set(
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .map(({ address }) => ipaddr.process(address).toNormalizedString()),
  );
}
