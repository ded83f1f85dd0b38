import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { isLocalAddress, namesLocalAddress } from './local-addresses.ts';

describe('an address', () => {
  it.each([
    ['loopback', ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']],
    ['link-local', ['169.254.1.1', '169.254.169.254', 'fe80::1', 'fe80::1%eth0']],
    ['unspecified', ['0.0.0.0', '::', '0.1.2.3']],
    ['multicast or broadcast', ['224.0.0.1', 'ff02::1', '255.255.255.255']],
    ["a cloud's metadata service", ['100.100.100.200', '192.0.0.192', 'fd00:ec2::254', 'fd20:ce:0::254']],
    ['loopback behind a translator', ['64:ff9b::7f00:1', '::ffff:0:127.0.0.1']],
    ['no address', ['', 'example.com', '127.0.0.1:80']],
  ])('that is %s is local', (_, addresses) => {
    for (const address of addresses) expect(isLocalAddress(address), address).toBe(true);
  });

  it.each(['93.184.215.14', '10.255.255.254', '172.31.255.254', '192.168.255.254', '2606:4700::1', 'fd12:3456::1', '64:ff9b::a00:1'])(
    'of another machine, in a private network or not, is not: %s',
    (address) => {
      expect(isLocalAddress(address)).toBe(false);
    },
  );

  it('of an interface of this machine is local', () => {
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    expect(own.length).toBeGreaterThan(0);
    for (const { address } of own) expect(isLocalAddress(address), address).toBe(true);
  });
});

describe('a URL', () => {
  it.each([
    'http://127.0.0.1:8000',
    'http://127.1',
    'http://0x7f000001/v1',
    'http://2130706433',
    'http://[::1]:8000',
    'http://[::ffff:127.0.0.1]',
    'http://169.254.169.254/latest',
    'http://localhost:8000',
    'http://LOCALHOST.',
    'http://triton.localhost',
  ])('that names a local address in any spelling is seen: %s', (url) => {
    expect(namesLocalAddress(url)).toBe(true);
  });

  it.each(['http://triton.example:8000', 'http://10.255.255.254', 'http://[fd12::1]:8000', 'http://localhost.example'])(
    'that names another host is not: %s',
    (url) => {
      expect(namesLocalAddress(url)).toBe(false);
    },
  );
});
