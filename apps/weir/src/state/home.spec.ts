import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { homeAt, makeHome } from './home.ts';

const room = vi.hoisted(() => ({ bytes: Number.POSITIVE_INFINITY }));
vi.mock(import('node:fs'), async (original) => {
  const fs = await original();
  const statfsSync = ((folder: string) => Object.assign(fs.statfsSync(folder), { bavail: room.bytes, bsize: 1 })) as typeof fs.statfsSync;
  return { ...fs, statfsSync };
});

describe('the folder of the state', () => {
  let parent: string;

  beforeEach(() => {
    parent = mkdtempSync(path.join(tmpdir(), 'weir-home-'));
    room.bytes = 10_000_000_000;
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  test('is made with all that belongs to it', () => {
    const home = homeAt(path.join(parent, 'a/b'));
    makeHome(home);
    for (const folder of [home.keys, home.logs, home.artifacts, home.spool, home.workerCache]) expect(existsSync(folder)).toBe(true);
  });

  test('on a disk without room for a database is refused in one sentence, before services fail one after the other', () => {
    room.bytes = 60_000_000;
    expect(() => makeHome(homeAt(path.join(parent, 'a')))).toThrow(
      `The disk that holds ${parent}/a is full but for 60 MB: free at least 200 MB and start again.`,
    );
  });

  test('that is a file is said in one sentence', () => {
    writeFileSync(path.join(parent, 'file'), '');
    expect(() => makeHome(homeAt(path.join(parent, 'file')))).toThrow(`${parent}/file is not a folder: set WEIR_HOME to one.`);
  });
});
