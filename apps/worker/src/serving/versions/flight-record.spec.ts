import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FlightRecord, readFlightRecord } from './flight-record.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weir-flights-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('what was running when a process ended', () => {
  it('can be read after it: begun and not ended', () => {
    const file = join(directory, 'flight');
    const record = new FlightRecord(file);
    const ended = record.began('version-a');
    record.began('version-b');
    ended();
    record.began('version-c');
    record.close();
    expect(readFlightRecord(file).sort()).toEqual(['version-b', 'version-c']);
  });

  it('is nothing where no record was kept', () => {
    expect(readFlightRecord(join(directory, 'none'))).toEqual([]);
  });
});
