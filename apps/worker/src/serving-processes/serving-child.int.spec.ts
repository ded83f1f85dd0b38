import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, isAlive } from '@weir/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SUPERVISOR = fileURLToPath(new URL('./supervisor.fixture.ts', import.meta.url));

let directory: string;
let supervisor: ChildProcess | undefined;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-supervisor-'));
});
afterEach(async () => {
  supervisor?.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

/** Starts the supervisor, and answers with the number of its serving process once that is in its run. */
async function servingPid(state: string): Promise<number> {
  // With the compiled libraries (npm test compiles first): Node.js alone does not understand decorators.
  supervisor = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', SUPERVISOR, directory, state], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (supervisor.stdout === null) throw new Error('the supervisor has no output');
  const [line] = (await once(supervisor.stdout, 'data')) as [Buffer];
  return Number(line.toString());
}

describe('a serving process in a run without an end', () => {
  it('does not outlive its supervisor', async () => {
    const pid = await servingPid('running');
    expect(isAlive(pid)).toBe(true);
    supervisor?.kill('SIGKILL');
    await eventually(() => !isAlive(pid));
  });

  it('does not outlive it either while it drains', async () => {
    const pid = await servingPid('draining');
    supervisor?.kill('SIGKILL');
    await eventually(() => !isAlive(pid));
  });
});
