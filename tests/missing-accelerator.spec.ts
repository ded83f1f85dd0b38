import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const WORKER = fileURLToPath(new URL('../apps/worker/dist/main.js', import.meta.url));
let home: string;

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'weir-worker-'));
  const key = { ...generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }), kid: 'worker-1' };
  await writeFile(path.join(home, 'key.json'), JSON.stringify(key), { mode: 0o600 });
  await writeFile(path.join(home, 'keys.json'), JSON.stringify({ keys: [{ kty: key.kty, crv: key.crv, x: key.x, kid: key.kid }] }));
});

afterAll(async () => {
  await rm(home, { recursive: true, force: true });
});

async function start(environment: Readonly<Record<string, string>>): Promise<{ code: number | null; said: string }> {
  const worker = spawn(process.execPath, [WORKER], {
    env: {
      // Nothing listens there: what the machine lacks is found before anything is connected to.
      WEIR_BUS_URL: 'postgres://nobody@127.0.0.1:1/none',
      WEIR_SIGNING_KEY_FILE: path.join(home, 'key.json'),
      WEIR_INTERNAL_KEYS_FILE: path.join(home, 'keys.json'),
      WEIR_WORKER_CACHE_DIR: path.join(home, 'cache'),
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 120_000,
  });
  const ended = new Promise<number | null>((resolve) => worker.once('exit', resolve));
  const said = await text(worker.stderr);
  return { code: await ended, said };
}

test('a worker that is told to use an accelerator which is not there ends with exit code 78 and a sentence that says what to do', async () => {
  // DirectML is for Windows, where no part of Weir is run.
  const { code, said } = await start({ WEIR_WORKER_EXECUTION_PROVIDERS: 'dml,cpu' });
  expect(code).toBe(78);
  expect(said).toMatch(
    /^weir worker: These settings are wrong:\n {2}WEIR_WORKER_EXECUTION_PROVIDERS: dml is not part of .* Leave dml out\.\n$/,
  );
});
