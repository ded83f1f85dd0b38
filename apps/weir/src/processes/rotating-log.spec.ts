import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RotatingLog } from './rotating-log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'weir-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a log is bounded: the oldest lines go, whole files at a time', () => {
  const file = path.join(folder, 'x.log');
  const log = new RotatingLog(file, 10);
  for (let line = 1; line <= 7; line++) log.write(`line ${line}`);
  log.close();
  const lines = ['.3', '.2', '.1', ''].map((ending) => readFileSync(`${file}${ending}`, 'utf8').trim());
  expect(lines).toEqual(['line 4', 'line 5', 'line 6', 'line 7']);
  expect(existsSync(`${file}.4`)).toBe(false);
});

test('a log goes on where the last start left it', () => {
  const file = path.join(folder, 'x.log');
  for (const line of ['first start', 'second start']) {
    const log = new RotatingLog(file);
    log.write(line);
    log.close();
  }
  expect(readFileSync(file, 'utf8')).toBe('first start\nsecond start\n');
});

test('a log that cannot be written stops nobody', () => {
  const log = new RotatingLog(path.join(folder, 'missing', 'x.log'));
  log.write('lost');
  log.close();
  expect(existsSync(path.join(folder, 'missing'))).toBe(false);
});
