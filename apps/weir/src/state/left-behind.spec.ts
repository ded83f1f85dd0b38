import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { leftBehind, untilNoneIsLeft } from './left-behind.ts';

describe('a start after a launcher was killed', () => {
  let folder: string;
  let runFile: string;
  let script: string;
  let service: ChildProcess;

  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'weir-left-'));
    runFile = path.join(folder, 'run.json');
    script = path.join(folder, 'main.mjs');
    writeFileSync(script, `console.log('up'); setTimeout(() => undefined, 60_000);`);
    service = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'ignore'] });
    await new Promise((resolve) => service.stdout?.once('data', resolve));
    writeFileSync(runFile, JSON.stringify({ pid: 1, services: { gateway: { pid: service.pid }, auth: { pid: null } } }));
  });
  afterEach(() => {
    service.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  test('waits for the services that have not ended yet', async () => {
    expect(leftBehind(runFile, new Map([['gateway', script]]))).toEqual(['gateway']);
    let hasEnded = false;
    service.once('exit', () => (hasEnded = true));
    setTimeout(() => service.kill('SIGKILL'), 300);
    await untilNoneIsLeft(runFile, new Map([['gateway', script]]), 10_000);
    expect(hasEnded || service.signalCode !== null).toBe(true);
  });

  test('says which live on when they do not end', async () => {
    const waiting = untilNoneIsLeft(runFile, new Map([['gateway', script]]), 300);
    await expect(waiting).rejects.toThrow(/^Processes of an earlier start still run \(gateway; .*run\.json\): stop them first\.$/);
  });

  test('takes no other program that has the number now for a service, and no broken file for a list', () => {
    expect(leftBehind(runFile, new Map([['gateway', '/somewhere/else/main.js']]))).toEqual([]);
    writeFileSync(runFile, '{"services":');
    expect(leftBehind(runFile, new Map([['gateway', script]]))).toEqual([]);
    rmSync(runFile);
    expect(leftBehind(runFile, new Map([['gateway', script]]))).toEqual([]);
  });
});
