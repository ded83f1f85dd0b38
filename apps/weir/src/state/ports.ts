import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { z } from 'zod';
import { StartError } from '../start-error.ts';

const portsSchema = z.record(z.string(), z.number().int().min(1).max(65535));

/**
 * A port on loopback for each name. Those of the last start are taken again where they are free,
 * so that addresses that were handed out stay true.
 *
 * @param publicPorts kept free for the gateway, which takes them last
 */
export async function choosePorts(
  file: string,
  names: readonly string[],
  publicPorts: readonly number[],
): Promise<ReadonlyMap<string, number>> {
  const last = existsSync(file) ? (portsSchema.safeParse(parseJson(readFileSync(file, 'utf8'))).data ?? {}) : {};
  const chosen = new Map<string, number>();
  for (const name of names) {
    const port = last[name];
    const taken = [...publicPorts, ...chosen.values()];
    const isUsable = port !== undefined && !taken.includes(port) && (await bind('127.0.0.1', port)) === port;
    chosen.set(name, isUsable ? port : await freePort(taken));
  }
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(chosen), null, 2)}\n`);
  return chosen;
}

/** Where gRPC clients look first. */
const DEFAULT_GRPC_PORT = 4001;

/**
 * The port for gRPC: the one that is wanted, 0 for any that is free; without a wish 4001, or any that is free where
 * another program has it.
 *
 * @throws StartError with what to do when the gateway could not listen on the one that is wanted
 */
export async function chooseGrpcPort(host: string, wanted: number | undefined, publicPort: number): Promise<number> {
  if (wanted === publicPort)
    throw new StartError(`WEIR_GRPC_PORT and WEIR_PORT are both ${publicPort}: choose another one for gRPC, such as ${publicPort + 1}.`);
  if (wanted !== undefined && wanted !== 0) {
    await checkPort(host, wanted, 'WEIR_GRPC_PORT');
    return wanted;
  }
  if (wanted === undefined && publicPort !== DEFAULT_GRPC_PORT && (await bind(host, DEFAULT_GRPC_PORT)) === DEFAULT_GRPC_PORT)
    return DEFAULT_GRPC_PORT;
  return freePort([publicPort], host);
}

/**
 * @param variable the setting that names the port
 * @throws StartError with what to do when the gateway could not listen there
 */
export async function checkPort(host: string, port: number, variable: 'WEIR_PORT' | 'WEIR_GRPC_PORT'): Promise<void> {
  const result = await bind(host, port);
  switch (result) {
    case port:
      return;
    case 'EADDRINUSE':
      throw new StartError(
        `Port ${port} on ${host} is in use by another program: stop that, or choose another port, such as ${variable}=${port > 65_000 ? port - 10 : port + 10} npm start.`,
      );
    case 'EACCES':
      throw new StartError(`Port ${port} may not be used by this user: choose one above 1023, such as ${variable}=4000 npm start.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      throw new StartError(`WEIR_HOST is ${host}, which is no address of this machine: use 127.0.0.1, or 0.0.0.0 for all.`);
    default:
      throw new StartError(`The gateway cannot listen on ${host}, port ${port} (${result}).`);
  }
}

async function freePort(taken: readonly number[], host = '127.0.0.1'): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await bind(host, 0);
    if (typeof port === 'number' && !taken.includes(port)) return port;
  }
  throw new StartError(`There is no free port on ${host}.`);
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
