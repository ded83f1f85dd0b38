import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSeedRecord, writeSeedRecord } from './seed-record.ts';

const ONE = { name: 'one', folder: 'models/one', version: '1.0.0' };
const TWO = { name: 'two', folder: 'models/two', version: '1.0.0' };

describe('the record of what was seeded', () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'weir-seed-'));
    file = path.join(folder, 'seed.json');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('tells an installation that was never seeded from one that is', () => {
    expect(readSeedRecord(file, [ONE])).toBeNull();
    writeSeedRecord(file, [ONE]);
    expect(readSeedRecord(file, [ONE])).toEqual([ONE]);
  });

  it('shows which models of a newer release an installation lacks: new ones, and new versions', () => {
    writeSeedRecord(file, [ONE]);
    expect(readSeedRecord(file, [ONE, TWO])).toEqual([ONE]);
    expect(readSeedRecord(file, [{ ...ONE, version: '1.1.0' }, TWO])).toEqual([]);
  });

  it.each([
    ['of the first release, which named no models', '{"completedAt":"2026-11-21T00:00:00.000Z"}\n'],
    ['that was cut off', '{"comple'],
  ])('%s counts none', (_, content) => {
    writeFileSync(file, content);
    expect(readSeedRecord(file, [ONE])).toEqual([]);
  });
});
