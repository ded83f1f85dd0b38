import { apiKeyChanged, tenantChanged } from '@weir/contracts';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { BusRecord, EventBus, FollowOptions, NewRecord } from './event-bus.ts';
import { toRecord } from './events.ts';
import { projectionOf } from './projection.ts';

const tenant = { id: 't1', slug: 'acme', displayName: 'Acme', status: 'active' as const };
const attributes = { id: 'e1', source: 'auth/1', tenant: 't1', occurredAt: '2026-01-01T00:00:00.000Z' };

/** A follower whose records the test hands over itself; the buses' own followers are in the conformance suite. */
async function aProjection() {
  const logged: string[] = [];
  const changes: unknown[] = [];
  let apply: FollowOptions['apply'] = () => undefined;
  const bus: Pick<EventBus, 'follow'> = {
    follow: async (options) => {
      apply = (record) => options.apply(record);
      return { caughtUp: Promise.resolve(), isLive: () => true, close: async () => undefined };
    },
  };
  const projection = await projectionOf({
    bus: bus as EventBus,
    logger: pino({}, { write: (line) => logged.push(line) }),
    events: { tenants: tenantChanged, apiKeys: apiKeyChanged },
    onChange: (change) => changes.push(change),
  });
  let offset = 0;
  const put = (topic: string, record: NewRecord) => {
    const read: BusRecord = {
      topic,
      partition: 0,
      offset: offset++,
      timestampMs: 0,
      key: record.key,
      value: record.value,
      headers: record.headers ?? {},
    };
    apply(read);
  };
  return { projection, put, logged, changes };
}

describe('a projection', () => {
  it('holds the last value of each key, and tells of each change', async () => {
    const { projection, put, changes } = await aProjection();
    put('auth.tenants', toRecord(tenantChanged, tenant, attributes));
    put('auth.tenants', toRecord(tenantChanged, { ...tenant, status: 'suspended' }, attributes));
    expect(projection.maps.tenants.get('t1')?.status).toBe('suspended');
    expect(changes).toHaveLength(2);
    expect(projection.maps.apiKeys.size).toBe(0);
  });

  it('forgets a key at its tombstone, of its own topic only', async () => {
    const { projection, put, changes } = await aProjection();
    put('auth.tenants', toRecord(tenantChanged, tenant, attributes));
    put('auth.api-keys', { key: 't1', value: null });
    expect(projection.maps.tenants.has('t1')).toBe(true);
    put('auth.tenants', { key: 't1', value: null });
    expect(projection.maps.tenants.has('t1')).toBe(false);
    expect(changes.at(-1)).toEqual({ name: 'tenants', key: 't1', value: undefined, occurredAt: undefined });
  });

  it('passes over what does not parse: counted, logged without the content, the earlier value kept', async () => {
    const { projection, put, logged } = await aProjection();
    const good = toRecord(tenantChanged, tenant, attributes);
    put('auth.tenants', good);
    put('auth.tenants', { ...good, value: '{"secret":' });
    expect(projection.skippedRecords()).toBe(1);
    expect(projection.maps.tenants.get('t1')).toEqual(tenant);
    expect(logged).toHaveLength(1);
    expect(logged[0]).not.toContain('secret');
  });

  it('ignores events of types that it does not know', async () => {
    const { projection, put } = await aProjection();
    put('auth.tenants', { key: 'x', value: JSON.stringify({ ...attributes, type: 'auth.tenant.merged.v1', schema: 1, data: {} }) });
    expect(projection.skippedRecords()).toBe(0);
    expect(projection.maps.tenants.size).toBe(0);
  });
});
