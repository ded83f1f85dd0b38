import { tenantChanged } from '@weir/contracts';
import { describe, expect, it } from 'vitest';
import { PoisonRecordError, type BusRecord } from './event-bus.ts';
import { EVENT_TYPE_HEADER, eventTypeOf, parseRecord, toRecord } from './events.ts';

const tenant = { id: 't1', slug: 'acme', displayName: 'Acme', status: 'active' as const };
const attributes = { id: 'e1', source: 'auth/1', tenant: 't1', occurredAt: '2026-01-01T00:00:00.000Z' };

function read(overrides: Partial<BusRecord> = {}): BusRecord {
  const { key, value, headers = {} } = toRecord(tenantChanged, tenant, attributes);
  return { topic: 'auth.tenants', partition: 0, offset: 7, key, value, headers, timestampMs: 0, ...overrides };
}

function reasonOf(record: BusRecord): string {
  try {
    parseRecord(tenantChanged, record);
  } catch (error) {
    if (error instanceof PoisonRecordError) return error.reason;
  }
  throw new Error('it was not refused as poison');
}

describe('an event on the bus', () => {
  it('comes back as it was sent, under the key of its contract, with its type in a header', () => {
    const record = read();
    expect(record.key).toBe('t1');
    expect(record.headers[EVENT_TYPE_HEADER]).toBe('auth.tenant.changed.v1');
    expect(parseRecord(tenantChanged, record)).toMatchObject({ ...attributes, type: 'auth.tenant.changed.v1', schema: 1, data: tenant });
  });

  it('tells its type without being parsed, and with, when a foreign client left the header out', () => {
    expect(eventTypeOf(read({ value: 'not json' }))).toBe('auth.tenant.changed.v1');
    expect(eventTypeOf(read({ headers: {} }))).toBe('auth.tenant.changed.v1');
    expect(eventTypeOf(read({ value: null, headers: {} }))).toBeNull();
  });

  it.each([
    ['text that is not JSON', 'secret text', 'its value is not JSON'],
    ['JSON that is not an envelope', '{"secret":1}', 'its envelope is wrong at id (invalid_type)'],
    ['another type', JSON.stringify({ ...attributes, type: 'x.y.v1', schema: 1, data: {} }), 'its type is x.y.v1'],
    [
      'a payload that breaks its schema',
      JSON.stringify({ ...attributes, type: 'auth.tenant.changed.v1', schema: 1, data: { ...tenant, status: 'secret' } }),
      'status (invalid_value)',
    ],
  ])('is poison when it is %s, and the reason does not quote it', (_what, value, reason) => {
    expect(reasonOf(read({ value }))).toContain(reason);
    expect(reasonOf(read({ value }))).not.toContain('secret');
  });

  it('cannot be written when it breaks its contract', () => {
    expect(() => toRecord(tenantChanged, { ...tenant, id: '' }, attributes)).toThrow();
  });
});
