import { toRecord } from '@weir/platform/bus';
import { usageRecorded } from '@weir/contracts';
import { eventually, startTestService, type TestService } from '@weir/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MeteringModule } from '../metering.module.ts';
import { aUsageEvent } from '../usage-event.fixture.ts';

interface Health {
  readonly status: string;
  readonly checks: Record<string, { readonly state: string; readonly detail?: string }>;
}

let service: TestService;
let admin: pg.Client;

beforeAll(async () => {
  service = await startTestService(
    { name: 'metering', module: MeteringModule, settings: {} },
    { environment: { WEIR_DEGRADED_AFTER_MS: '500' } },
  );
  admin = new pg.Client({ connectionString: service.database.adminUrl });
  await admin.connect();
});
afterAll(async () => {
  await admin.end();
  await service.close();
});

async function health(): Promise<{ readonly status: number; readonly body: Health }> {
  const response = await service.request('/health/ready?verbose', { principal: null });
  return { status: response.status, body: (await response.json()) as Health };
}

async function metric(name: string): Promise<number> {
  const text = await (await service.request('/metrics', { principal: null })).text();
  return Number(new RegExp(`^${name}\\{[^}]*group="metering"[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1] ?? -1);
}

it('a ledger that cannot be written shows as lag, as a growing age, and as degraded, while metering stays ready; it ends with the cause', async () => {
  await eventually(async () => (await health()).body.status === 'ready');
  await admin.query('begin');
  await admin.query('lock table metering.ledger in access exclusive mode');
  const event = aUsageEvent();
  await service.bus.send(usageRecorded.topic, [toRecord(usageRecorded, event.data, event)]);

  await eventually(async () => (await health()).body.status === 'degraded');
  const { status, body } = await health();
  expect(status).toBe(200);
  expect(body.checks.consumers).toMatchObject({ state: 'degraded', detail: expect.stringContaining('group metering') });
  const ageSeconds = await metric('weir_consumer_oldest_unprocessed_seconds');
  expect(ageSeconds).toBeGreaterThan(0.5);
  await eventually(async () => (await metric('weir_consumer_lag_records')) === 1);
  expect(await metric('weir_consumer_oldest_unprocessed_seconds')).toBeGreaterThan(ageSeconds);

  await admin.query('rollback');
  await eventually(async () => (await health()).body.status === 'ready');
  await eventually(async () => (await metric('weir_consumer_lag_records')) === 0);
  expect(await metric('weir_consumer_oldest_unprocessed_seconds')).toBe(0);
  expect(await metric('weir_consumer_last_success_timestamp_seconds')).toBeGreaterThan(1_700_000_000);
});

it('a record that went to the dead letters is counted', async () => {
  const event = aUsageEvent();
  await service.bus.send(usageRecorded.topic, [{ ...toRecord(usageRecorded, event.data, event), value: '{"no": "envelope"}' }]);
  await eventually(async () => (await metric('weir_dead_letters')) === 1);
  expect(await metric('weir_consumer_failures_total')).toBeGreaterThan(0);
});
