import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkPort, chooseGrpcPort, choosePorts } from './ports.ts';

describe('ports', () => {
  let folder: string;
  let file: string;
  let taken: Server;
  let takenPort: number;

  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'weir-ports-'));
    file = path.join(folder, 'ports.json');
    taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    takenPort = (taken.address() as AddressInfo).port;
  });
  afterEach(() => {
    taken.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('are the same at the next start', async () => {
    const first = await choosePorts(file, ['auth', 'billing'], [4000]);
    expect(new Set(first.values()).size).toBe(2);
    expect(await choosePorts(file, ['auth', 'billing'], [4000])).toEqual(first);
  });

  test('that another program has taken meanwhile are replaced', async () => {
    writeFileSync(file, JSON.stringify({ auth: takenPort }));
    expect((await choosePorts(file, ['auth'], [4000])).get('auth')).not.toBe(takenPort);
  });

  test('never take the one that the gateway is to have', async () => {
    const auth = (await choosePorts(file, ['auth'], [4000])).get('auth') ?? 0;
    expect((await choosePorts(file, ['auth'], [auth])).get('auth')).not.toBe(auth);
  });

  test('are chosen anew when their file is damaged', async () => {
    writeFileSync(file, '{ "auth": 4');
    expect((await choosePorts(file, ['auth'], [4000])).get('auth')).toBeGreaterThan(0);
  });

  test('the public one in use is named, with how to change it', async () => {
    await expect(checkPort('127.0.0.1', takenPort, 'WEIR_PORT')).rejects.toThrow(
      `Port ${takenPort} on 127.0.0.1 is in use by another program: stop that, or choose another port, such as WEIR_PORT=${takenPort > 65_000 ? takenPort - 10 : takenPort + 10} npm start.`,
    );
  });

  test('a host that is no address of this machine is said', async () => {
    await expect(checkPort('203.0.113.7', takenPort, 'WEIR_PORT')).rejects.toThrow(
      'WEIR_HOST is 203.0.113.7, which is no address of this machine',
    );
  });
  test('the one for gRPC is the one that is wanted, any that is free for 0, and never the public one', async () => {
    const free = await chooseGrpcPort('127.0.0.1', 0, 4000);
    expect(free).toBeGreaterThan(0);
    expect(await chooseGrpcPort('127.0.0.1', free, 4000)).toBe(free);
    expect(await chooseGrpcPort('127.0.0.1', undefined, 4001)).not.toBe(4001);
    await expect(chooseGrpcPort('127.0.0.1', 4000, 4000)).rejects.toThrow('WEIR_GRPC_PORT and WEIR_PORT are both 4000');
    await expect(chooseGrpcPort('127.0.0.1', takenPort, 4000)).rejects.toThrow(/in use by another program.*WEIR_GRPC_PORT=/);
  });
});
