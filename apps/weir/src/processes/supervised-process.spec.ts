import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startGuardian, type Guardian } from './guardian.ts';
import { RotatingLog } from './rotating-log.ts';
import { SupervisedProcess, type ProcessDeath } from './supervised-process.ts';

interface Observed {
  readonly started: number[];
  readonly restarts: { death: ProcessDeath; delayMs: number }[];
  readonly failures: { death: ProcessDeath; reason: string }[];
}

describe('a supervised process', () => {
  let folder: string;
  let guardian: Guardian;
  let processes: SupervisedProcess[];

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'weir-supervision-'));
    guardian = startGuardian(1_000);
    processes = [];
  });

  afterEach(async () => {
    for (const process of processes) await process.stop({ force: true });
    guardian.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function supervise(code: string, environment: Record<string, string> = {}): { process: SupervisedProcess; observed: Observed } {
    const script = path.join(folder, 'fake.mjs');
    writeFileSync(script, code);
    const observed: Observed = { started: [], restarts: [], failures: [] };
    const process = new SupervisedProcess(
      { name: 'fake', script, environment, log: new RotatingLog(path.join(folder, 'fake.log')), stopTimeoutMs: 1_000 },
      {
        onStarted: (pid) => observed.started.push(pid),
        onRestart: (death, delayMs) => observed.restarts.push({ death, delayMs }),
        onStartFailure: (death, reason) => observed.failures.push({ death, reason }),
      },
      guardian,
    );
    processes.push(process);
    process.start();
    return { process, observed };
  }

  test('that is killed starts again after half a second', async () => {
    const { observed } = supervise('setInterval(() => {}, 1000)');
    process.kill(observed.started[0] ?? 0, 'SIGKILL');
    await until(() => observed.started.length === 2);
    expect(observed.restarts).toEqual([{ death: { name: 'fake', how: 'signal SIGKILL', lastLines: [] }, delayMs: 500 }]);
    expect(isAlive(observed.started[1] ?? 0)).toBe(true);
  });

  test('that dies shows the last lines of its log, the telling ones in words', async () => {
    const { observed } = supervise(`
      console.log(JSON.stringify({ level: 'info', msg: 'listening' }));
      console.log(JSON.stringify({ level: 'fatal', msg: 'cannot start', err: { message: 'no database' } }));
      process.exitCode = 3;`);
    await until(() => observed.restarts.length === 1);
    expect(observed.restarts[0]?.death).toEqual({ name: 'fake', how: 'exit code 3', lastLines: ['fatal cannot start: no database'] });
    expect(readFileSync(path.join(folder, 'fake.log'), 'utf8')).toContain('listening');
  });

  test('whose settings are wrong is not started again', async () => {
    const { observed } = supervise('process.stderr.write("WEIR_X: must be set\\n"); process.exitCode = 78;');
    await until(() => observed.failures.length === 1);
    expect(observed.failures[0]).toEqual({
      death: { name: 'fake', how: 'exit code 78', lastLines: ['WEIR_X: must be set'] },
      reason: 'its settings are wrong',
    });
    await sleep(700);
    expect(observed.started).toHaveLength(1);
  });

  test('that dies fast five times while it is started for the first time is a failure of the start', { timeout: 20_000 }, async () => {
    const { observed } = supervise('process.exitCode = 1;');
    await until(() => observed.failures.length === 1, 15_000);
    expect(observed.restarts.map((restart) => restart.delayMs)).toEqual([500, 1_000, 2_000, 4_000]);
    expect(observed.failures[0]?.reason).toBe('it died 5 times within a minute');
    expect(observed.started).toHaveLength(5);
  });

  test('that has run once is restarted however often it dies', { timeout: 20_000 }, async () => {
    const { process, observed } = supervise('process.exitCode = 78;');
    process.keepRunning();
    await until(() => observed.started.length === 3, 10_000);
    expect(observed.restarts.map((restart) => restart.delayMs)).toEqual([500, 1_000]);
    expect(observed.failures).toEqual([]);
  });

  test('that is stopped gets to finish, and stays stopped', async () => {
    const { process, observed } = supervise(
      `process.on('SIGTERM', () => { console.log('finished'); process.exit(0); }); setInterval(() => {}, 1000); console.log('up');`,
    );
    await until(() => readFileSync(path.join(folder, 'fake.log'), 'utf8').includes('up'));
    await process.stop();
    expect(readFileSync(path.join(folder, 'fake.log'), 'utf8')).toContain('finished');
    expect(observed.restarts).toEqual([]);
    expect(isAlive(observed.started[0] ?? 0)).toBe(false);
  });

  test('that does not listen is killed with all its children', async () => {
    const { process, observed } = supervise(`
      import { spawn } from 'node:child_process';
      process.on('SIGTERM', () => {});
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
      console.log('child ' + child.pid);
      setInterval(() => {}, 1000);`);
    const log = (): string => readFileSync(path.join(folder, 'fake.log'), 'utf8');
    await until(() => /child \d+/.test(log()));
    const grandchild = Number(/child (\d+)/.exec(log())?.[1]);
    await process.stop();
    await until(() => !isAlive(grandchild));
    expect(isAlive(observed.started[0] ?? 0)).toBe(false);
  });

  test('sees nothing of our environment', async () => {
    supervise('console.log(JSON.stringify(Object.keys(process.env).filter((name) => !name.startsWith("NODE_CHANNEL"))))', {
      WEIR_SEEN: 'yes',
    });
    await until(() => readFileSync(path.join(folder, 'fake.log'), 'utf8').includes('WEIR_SEEN'));
    expect(readFileSync(path.join(folder, 'fake.log'), 'utf8')).toContain('["WEIR_SEEN"]');
  });

  test('that hangs is killed when the launcher is gone', async () => {
    const { observed } = supervise('process.on("disconnect", () => {}); process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)');
    const pid = observed.started[0] ?? 0;
    const other = startGuardian(500);
    other.watch(pid);
    // What the guardian sees of a dead launcher: the end of its input.
    other.abandon();
    await until(() => observed.restarts.length > 0, 5_000);
    expect(isAlive(pid)).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !condition(); await sleep(25)) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms`);
  }
}
