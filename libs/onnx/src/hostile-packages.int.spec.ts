import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostilePackages, type HostilePackage } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const RUN_MODEL = fileURLToPath(new URL('run-model.fixture.ts', import.meta.url));
const DATA_LIMIT_KIB = 1_048_576;
/** What answers at all does so in a hundredth of it. */
const PATIENCE_MS = 10_000;

/** Time, memory or life: which of them runs out first depends on how fast the machine is. */
const COSTLY: readonly string[] = ['hangs', 'exhausts memory', 'dies'] satisfies readonly HostilePackage['runtime'][];

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-hostile-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('ONNX Runtime, in a process with 1 GiB of memory and nobody who looks at the package before,', () => {
  it.concurrent.each(hostilePackages().map((hostile) => [hostile.runtime, hostile.what, hostile] as const))(
    '%s: %s',
    async (runtime, _, hostile) => {
      const found = await whatHappensTo(hostile);
      if (COSTLY.includes(runtime)) expect(COSTLY).toContain(found);
      else expect(found).toBe(runtime);
    },
  );
});

async function whatHappensTo({ name, files, call }: HostilePackage): Promise<string> {
  const folder = join(directory, name);
  for (const [path, content] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  const { output, signal } = await runModel(join(folder, 'model.onnx'), JSON.stringify(call));
  if (signal === 'SIGKILL') return 'hangs';
  if (signal !== null) return 'dies';
  return output.trim().split('\n').at(-1) ?? '';
}

/** The limit is set by the shell, as everywhere where there are processes. */
function runModel(path: string, call: string): Promise<{ output: string; signal: string | null }> {
  return new Promise((resolve) => {
    const child = execFile(
      'sh',
      ['-c', `ulimit -d ${DATA_LIMIT_KIB} && exec "$0" "$@"`, process.execPath, RUN_MODEL, path, call],
      { timeout: PATIENCE_MS, killSignal: 'SIGKILL' },
      (_error, output) => resolve({ output, signal: child.signalCode }),
    );
  });
}
