import { createServer, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Upstream } from './upstream.ts';

/** Listens on every interface, as a service of the platform may. */
let inside: Server;
let port: number;
let connections = 0;

beforeAll(async () => {
  inside = createServer((_, response) => response.end('{}'));
  inside.on('connection', () => connections++);
  await new Promise<void>((resolve) => inside.listen(0, '::', resolve));
  ({ port } = inside.address() as AddressInfo);
});

afterAll(async () => {
  inside.closeAllConnections();
  await new Promise((resolve) => inside.close(resolve));
});

async function askAt(host: string, allowLocal: boolean): Promise<unknown> {
  const upstream = new Upstream({ url: `http://${host}:${port}`, connections: 1, timeoutMs: 5_000, allowLocal });
  try {
    return await upstream.request({ method: 'GET', path: '/', headers: {}, secret: undefined, signal: AbortSignal.timeout(10_000) });
  } finally {
    await upstream.destroy();
  }
}

const ownAddresses = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .filter(({ address }) => !address.startsWith('fe80'))
  .map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));

describe('a server at a local address', () => {
  // `localhost` is not an address: it is refused for what the resolver says of it at the moment of the connection.
  it.each(['127.0.0.1', '[::ffff:127.0.0.1]', 'localhost', '0.0.0.0', ...ownAddresses])(
    'is not connected to, and the reason is told without the address: %s',
    async (host) => {
      const before = connections;
      await expect(askAt(host, false)).rejects.toMatchObject({
        code: 'worker.unreachable',
        message:
          'The server that runs the model is at an address of this machine, its link or a metadata service, which workers do not call.',
      });
      expect(connections).toBe(before);
    },
  );

  it('is called where the setting allows it', async () => {
    await expect(askAt('localhost', true)).resolves.toMatchObject({ body: Buffer.from('{}') });
    await expect(askAt('127.0.0.1', true)).resolves.toMatchObject({ body: Buffer.from('{}') });
  });
});
