import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { takeLock } from './lock.mjs';
import { digestOf, filesBelow, Stamps } from './stamps.mjs';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'weir-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the lock of the installation', () => {
  test('makes the second one wait for the first, and tells whom it waits for', async () => {
    const file = path.join(folder, 'lock');
    const { letGo } = await takeLock(file, () => undefined);
    const waitedFor: number[] = [];
    const order: string[] = [];
    const second = takeLock(file, (owner: number) => {
      waitedFor.push(owner);
      order.push('first ends');
      letGo();
    }).then((lock) => {
      order.push('second begins');
      lock.letGo();
    });
    await second;
    expect(waitedFor).toEqual([process.pid]);
    expect(order).toEqual(['first ends', 'second begins']);
  });

  test('left by one that was killed is taken over', async () => {
    const file = path.join(folder, 'lock');
    writeFileSync(file, '999999999');
    const { letGo } = await takeLock(file, () => expect.unreachable('there is nobody to wait for'));
    letGo();
  });

  test('left by one that was killed is waited for while a tool that it ran still writes', async () => {
    const file = path.join(folder, 'lock');
    const tool = spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 30_000)']);
    writeFileSync(file, `999999999\n${tool.pid}`);
    const waitedFor: number[] = [];
    const { letGo } = await takeLock(file, (owner: number) => {
      waitedFor.push(owner);
      tool.kill('SIGKILL');
    });
    expect(waitedFor).toEqual([tool.pid]);
    letGo();
  });
});

describe('a step of the installation', () => {
  test('is done again when the content of an input changes or what it made is gone, not when a file is only touched', () => {
    const input = path.join(folder, 'input');
    const output = path.join(folder, 'output');
    const stamps = new Stamps(path.join(folder, 'stamps'));
    writeFileSync(input, 'a');
    writeFileSync(output, '');
    stamps.write('step', digestOf([input]));
    writeFileSync(input, 'a');
    expect(stamps.isCurrent('step', digestOf([input]), [output])).toBe(true);
    writeFileSync(input, 'b');
    expect(stamps.isCurrent('step', digestOf([input]), [output])).toBe(false);
    writeFileSync(input, 'a');
    rmSync(output);
    expect(stamps.isCurrent('step', digestOf([input]), [output])).toBe(false);
  });

  test('looks at sources, not at what was made from them', () => {
    for (const name of ['src', 'dist', 'node_modules', 'src/generated']) mkdirSync(path.join(folder, name), { recursive: true });
    for (const name of ['src/a.ts', 'src/b.md', 'dist/a.ts', 'node_modules/a.ts', 'src/generated/a.ts'])
      writeFileSync(path.join(folder, name), '');
    expect(filesBelow(folder, ['.ts'])).toEqual([path.join(folder, 'src/a.ts')]);
  });
});

test('everything runs under the Node.js that was chosen, with its arguments and its exit code', () => {
  mkdirSync(path.join(folder, 'scripts'));
  mkdirSync(path.join(folder, '.weir/build'), { recursive: true });
  spawnSync('cp', [path.resolve(import.meta.dirname, '../node.sh'), path.join(folder, 'scripts/node.sh')]);
  writeFileSync(path.join(folder, '.weir/build/node'), process.execPath);
  const run = spawnSync(
    'sh',
    [path.join(folder, 'scripts/node.sh'), '-e', 'console.log(process.execPath, process.argv[1]); process.exitCode = 7', 'two words'],
    { encoding: 'utf8' },
  );
  expect(run).toMatchObject({ stdout: `${process.execPath} two words\n`, status: 7 });
});
