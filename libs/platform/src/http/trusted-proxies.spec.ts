import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { clientAddress, networkOf, trustIn } from './trusted-proxies.ts';

const requestFrom = (remoteAddress: string, forwardedFor?: string): IncomingMessage =>
  ({ socket: { remoteAddress }, headers: { 'x-forwarded-for': forwardedFor } }) as unknown as IncomingMessage;

describe('the address of a client', () => {
  it.each([
    ['the peer, whatever it claims, when no proxy is trusted', [], '203.0.113.9', '10.9.9.9', '203.0.113.9'],
    ['the peer, whatever it claims, when it is no trusted proxy', ['10.0.0.0/8'], '203.0.113.9', '10.9.9.9', '203.0.113.9'],
    ['what a trusted proxy says', ['10.0.0.0/8'], '10.0.0.1', '198.51.100.7', '198.51.100.7'],
    [
      'what the outermost trusted proxy says, not what its client said before',
      ['10.0.0.0/8'],
      '10.0.0.1',
      '1.1.1.1, 198.51.100.7, 10.0.0.2',
      '198.51.100.7',
    ],
    ['a trusted proxy that names nobody', ['loopback'], '127.0.0.1', undefined, '127.0.0.1'],
    ['an IPv6 client of a proxy on loopback', ['loopback'], '::1', '2001:db8::7', '2001:db8::7'],
  ])('is %s', (_, proxies, peer, forwardedFor, expected) => {
    expect(clientAddress(requestFrom(peer, forwardedFor), trustIn(proxies))).toBe(expected);
  });

  it('is refused as a setting when it is no address, network or name', () => {
    for (const wrong of ['proxy.example', '10.0.0.0/33', '2']) expect(() => trustIn([wrong])).toThrow(TypeError);
  });
});

describe('one client in limits per address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8::/64'],
    ['::1', '::/64'],
    ['fe80::1%eth0', 'fe80::/64'],
    ['not: an address', 'not: an address'],
  ])('in limits, %s counts for %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
