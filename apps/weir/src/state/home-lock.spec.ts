import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockHome } from './home-lock.ts';

describe('the lock of a folder', () => {
  let folder: string;
  let lockFile: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'weir-lock-'));
    lockFile = path.join(folder, 'launcher.lock');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('is given back', () => {
    lockHome(lockFile, folder)();
    expect(existsSync(lockFile)).toBe(false);
    lockHome(lockFile, folder)();
  });

  test('refuses a second launcher with the process that runs and what to do', () => {
    // Another living process, recorded as a launcher does it.
    const fixture = path.join(import.meta.dirname, 'home-lock.ts');
    const code = `import { lockHome } from ${JSON.stringify(fixture)}; try { lockHome(${JSON.stringify(lockFile)}, 'x'); console.log('taken'); } catch (error) { console.log(error.message); }`;
    const unlock = lockHome(lockFile, folder);
    const second = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    expect(second.stdout.trim()).toBe(
      `Weir already runs in x (process ${process.pid}): stop it first, or start another one with WEIR_HOME and WEIR_PORT set.`,
    );
    unlock();
  });

  test('left by a launcher that was killed is taken over', () => {
    writeFileSync(lockFile, '999999999\nlong gone\n');
    const unlock = lockHome(lockFile, folder);
    expect(readFileSync(lockFile, 'utf8')).toMatch(new RegExp(`^${process.pid}\n`));
    unlock();
  });

  test('left by a launcher whose number another program has now is taken over', () => {
    writeFileSync(lockFile, `${process.ppid}\nsome other command line\n`);
    lockHome(lockFile, folder)();
  });

  test('left half-written is taken over', () => {
    writeFileSync(lockFile, '');
    lockHome(lockFile, folder)();
  });
});
