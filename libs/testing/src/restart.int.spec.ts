import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ALL_TOPICS, tenantChanged } from '@weir/contracts';
import { removePostgres, startPostgres, type RunningPostgres } from '@weir/embedded-postgres';
import { systemClock, systemIds } from '@weir/kernel';
import { createEventBus, type EventBus } from '@weir/platform/bus';
import { ACROSS_TENANTS, Database, EventConsumer, migrate, on, Outbox, OutboxRelay } from '@weir/platform/database';
import { createLogger } from '@weir/platform/telemetry';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { copyTemplate, makeTemplateDatabase } from './databases.ts';
import { eventually } from './eventually.ts';

const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });
const folder = mkdtempSync(path.join(os.tmpdir(), 'weir-restart-'));

let postgres: RunningPostgres;
let database: Database;
let bus: EventBus;
let relay: OutboxRelay;
let consumer: EventConsumer;

const refuse = (): never => {
  throw new Error('this spec uses plain SQL');
};

beforeAll(async () => {
  postgres = await startPostgres({ dataDirectory: path.join(folder, 'postgres') });
  await makeTemplateDatabase(postgres.adminUrl);
  const test = await copyTemplate(postgres.adminUrl);
  const url = test.urlOf('billing');
  await migrate({ url, schema: 'billing', directory: folder });
  database = new Database({
    url,
    schema: 'billing',
    applicationName: 'spec',
    createClient: () => ({ $transaction: refuse, $queryRawUnsafe: refuse, $disconnect: async () => {} }),
    logger,
  });
  await database.sql.query('create table effects (event_id text primary key, n int)');
  bus = createEventBus({ kind: 'embedded', url: test.busUrl }, { logger, clientId: 'spec' });
  await bus.ensureTopics(ALL_TOPICS);
  relay = new OutboxRelay({ database, bus, logger });
  relay.start();
  consumer = new EventConsumer({
    group: 'billing',
    bus,
    database,
    logger,
    handlers: [
      on(tenantChanged, async (events, tx) => {
        // The relay may have sent an event, and lost the database before it could note that: it comes again at another offset.
        for (const { id, data } of events)
          await tx.query('insert into effects values ($1, $2) on conflict do nothing', [id, Number(data.displayName)]);
      }),
    ],
  });
  await consumer.start();
});

afterAll(async () => {
  await consumer.close();
  await relay.stop();
  await bus.close();
  await database.close();
  await postgres.stop();
  removePostgres(path.join(folder, 'postgres'));
  rmSync(folder, { recursive: true, force: true });
});

it(
  'database, outbox, relay, bus and consumer go on by themselves when PostgreSQL was restarted, and every effect happens once',
  { timeout: 60_000 },
  async () => {
    const outbox = new Outbox({ source: 'spec', clock: systemClock, ids: systemIds });
    const committed: number[] = [];
    let n = 0;
    const announce = async (): Promise<void> => {
      const mine = ++n;
      await database.sqlTransaction(ACROSS_TENANTS, (tx) =>
        outbox.publish(tx, tenantChanged, { id: 'a', slug: 'a', displayName: String(mine), status: 'active' }, { tenant: 'a' }),
      );
      committed.push(mine);
    };
    for (let i = 0; i < 5; i++) await announce();
    const { port } = postgres;
    await postgres.stop();
    await expect(announce()).rejects.toMatchObject({ code: 'service.unavailable' });
    postgres = await startPostgres({ dataDirectory: path.join(folder, 'postgres'), port });
    await eventually(() => announce().then(() => true), { timeoutMs: 10_000 });
    for (let i = 0; i < 5; i++) await announce();
    await eventually(
      async () => {
        const { rows } = await database.sql.query<{ n: number }>('select n from effects order by n');
        expect(rows.map((row) => row.n)).toEqual(committed);
        return true;
      },
      { timeoutMs: 20_000 },
    );
  },
);
