import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { z } from 'zod';
import { StartError } from '../start-error.ts';

const portsSchema = z.record(z.string(), z.number().int().min(1).max(65535));

/**
 * A port on loopback for each name. Those of the last start are taken again where they are free,
 * so that addresses that were handed out stay true.
 *
 * @param publicPort kept free for the gateway, which takes it last
 */
export async function choosePorts(file: string, names: readonly string[], publicPort: number): Promise<ReadonlyMap<string, number>> {
  const last = existsSync(file) ? (portsSchema.safeParse(parseJson(readFileSync(file, 'utf8'))).data ?? {}) : {};
  const chosen = new Map<string, number>();
  for (const name of names) {
    const port = last[name];
    const taken = [publicPort, ...chosen.values()];
    const isUsable = port !== undefined && !taken.includes(port) && (await bind('127.0.0.1', port)) === port;
    chosen.set(name, isUsable ? port : await freePort(taken));
  }
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(chosen), null, 2)}\n`);
  return chosen;
}

/** @throws StartError with what to do when the gateway could not listen there */
export async function checkPublicPort(host: string, port: number): Promise<void> {
  const result = await bind(host, port);
  switch (result) {
    case port:
      return;
    case 'EADDRINUSE':
      throw new StartError(
        `Port ${port} on ${host} is in use by another program: stop that, or choose another port, such as WEIR_PORT=${port > 65_000 ? port - 10 : port + 10} npm start.`,
      );
    case 'EACCES':
      throw new StartError(`Port ${port} may not be used by this user: choose one above 1023, such as WEIR_PORT=4000 npm start.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      throw new StartError(`WEIR_HOST is ${host}, which is no address of this machine: use 127.0.0.1, or 0.0.0.0 for all.`);
    default:
      throw new StartError(`The gateway cannot listen on ${host}, port ${port} (${result}).`);
  }
}

async function freePort(taken: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await bind('127.0.0.1', 0);
    if (typeof port === 'number' && !taken.includes(port)) return port;
  }
  throw new StartError('There is no free port on 127.0.0.1.');
}

/** Listens for a moment: the port that it got, or the error's code. */
function bind(host: string, port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen({ host, port, exclusive: true }, () => {
      const address = probe.address() as AddressInfo;
      probe.close(() => resolve(address.port));
    });
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Half-written by a start that was killed: choose anew.
    return null;
  }
}
