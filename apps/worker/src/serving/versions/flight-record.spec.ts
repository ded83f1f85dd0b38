import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunCaller } from '../runtime/run-caller.ts';
import { FlightRecord, readFlightRecord } from './flight-record.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weir-flights-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const caller = (tenantId: string, shapeClass = '0x3', elements = 8): RunCaller => ({ tenantId, shapeClass, elements, runsAlone: false });

describe('the flight record of a process that ended', () => {
  it('holds the loads and runs that had begun and not ended, with the tenants and shape classes of their calls', () => {
    const file = join(directory, 'flight');
    const record = new FlightRecord(file);
    const ended = record.began('version-a', [caller('acme')]);
    record.began('version-b', [caller('acme'), caller('globex', '5x9', 600), caller('acme')]);
    ended();
    record.began('version-c', null);
    expect(record.of('version-c')).toEqual([{ versionId: 'version-c', tenantId: null, shapeClass: '', elements: 0 }]);
    record.close();
    expect(readFlightRecord(file).sort((a, b) => a.versionId.localeCompare(b.versionId) || a.elements - b.elements)).toEqual([
      { versionId: 'version-b', tenantId: 'acme', shapeClass: '0x3', elements: 16 },
      { versionId: 'version-b', tenantId: 'globex', shapeClass: '5x9', elements: 600 },
      { versionId: 'version-c', tenantId: null, shapeClass: '', elements: 0 },
    ]);
  });

  it('is empty where none was written, and without what is not an entry', () => {
    expect(readFlightRecord(join(directory, 'none'))).toEqual([]);
    writeFileSync(join(directory, 'garbage'), Buffer.alloc(5_000, 0xff));
    expect(readFlightRecord(join(directory, 'garbage'))).toEqual([]);
  });
});
