import { ALL_TOPICS, TOPICS, type TopicDefinition } from '@weir/contracts';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queryOnce, specDatabase, type SpecDatabase } from '../../database/database.fixture.ts';
import { prepareBus } from '../../database/prepare-database.ts';
import { numbered, Received, soon } from '../conformance/harness.ts';
import { deadTopic } from '../dead-letters.ts';
import { EmbeddedEventBus } from './embedded-event-bus.ts';
import { Log } from './log.ts';
import { LOG_MIGRATIONS } from './schema.ts';

const logger = pino({ level: 'silent' });
const SERVICES = ['auth', 'registry', 'metering', 'billing', 'gateway', 'worker'] as const;
type Service = (typeof SERVICES)[number];

/** A service's credential for the embedded bus, and nothing but it. */
describe('the role of a service on the bus', () => {
  let database: SpecDatabase;
  let owner: EmbeddedEventBus;
  const buses: EmbeddedEventBus[] = [];

  const busAs = (role: string): EmbeddedEventBus => {
    const bus = new EmbeddedEventBus({ kind: 'embedded', url: database.urlOf(role) }, { logger, clientId: role });
    buses.push(bus);
    return bus;
  };

  beforeAll(async () => {
    database = await specDatabase();
    await prepareBus(database.urlOf('bus'));
    owner = busAs('bus');
    await owner.ensureTopics(ALL_TOPICS);
    for (const { name } of ALL_TOPICS) await owner.send(name, numbered('k', 0, 3));
  });
  afterAll(async () => {
    for (const bus of buses) await bus.close();
  });

  it.each(SERVICES)('of %s may append to the topics that it writes, and to no other', async (service: Service) => {
    const bus = busAs(service);
    for (const topic of ALL_TOPICS as readonly TopicDefinition[]) {
      const sent = bus.send(topic.name, numbered('k', 0, 1));
      if (topic.writtenBy.includes(service)) await sent;
      else
        await expect(sent, topic.name).rejects.toMatchObject({ code: 'internal.error', message: expect.stringContaining('may not write') });
    }
  });

  it.each(SERVICES)('of %s may read the topics that it reads, and no other', async (service: Service) => {
    const log = new Log({ url: database.urlOf(service), clientId: service, logger });
    for (const topic of ALL_TOPICS as readonly TopicDefinition[]) {
      const [end] = await log.ends([topic.name]);
      if (end === undefined) throw new Error(`${topic.name} has no partition`);
      const read = log.read(end, 0, 10, 10);
      if (topic.readBy.includes(service)) await read;
      else await expect(read, topic.name).rejects.toMatchObject({ code: '42501' });
    }
    await log.close();
  });

  it('of a stateless service may append to its dead letters', async () => {
    const bus = busAs('gateway');
    await bus.ensureTopics([deadTopic('gateway')]);
    await bus.send(deadTopic('gateway').name, numbered('k', 0, 1));
  });

  it.each([
    ['read records without the functions', 'select * from bus.record'],
    [
      'write records without the functions',
      `insert into bus.record (partition_id, "offset", key, headers, is_compacted) values (1, 99, 'k', '{}', false)`,
    ],
    ['remove records', 'delete from bus.record'],
    ['move the end of a partition', 'update bus.topic_partition set next_offset = 0'],
    ['change a topic', 'update bus.topic set retention_ms = 1'],
    ['give itself a right', `insert into bus.topic_grant values ('worker', 'auth.api-keys', true, true)`],
    ['append to another topic by the partition of its number', appendTo('inference.workers', 'auth.api-keys')],
    ['create a table where the functions would look first', 'create table bus.topic_grant2 (id int)'],
    ['act as the owner', 'set role bus'],
    ['be taken for another by changing the search path', `set search_path = pg_temp; ${appendTo('auth.api-keys', 'auth.api-keys')}`],
  ])('of a worker cannot %s', async (_what, statement) => {
    await expect(queryOnce(database.urlOf('worker'), statement)).rejects.toThrow(/permission denied|may not write|no rows/);
  });

  it('of a worker can neither see nor move the offsets of another group', async () => {
    const metering = busAs('metering');
    const received = new Received();
    const subscription = await metering.subscribe({
      group: 'metering',
      topics: [TOPICS['inference.usage'].name],
      handle: async ({ records }) => received.add(records),
    });
    await soon('metering joined', subscription.joined);
    expect(await queryOnce(database.urlOf('worker'), 'update bus.group_partition set committed_offset = 1000000 returning 1')).toEqual([]);
    expect(await queryOnce(database.urlOf('worker'), 'delete from bus.group_member returning 1')).toEqual([]);
    await expect(
      queryOnce(database.urlOf('worker'), `insert into bus.group_member values ('metering', 'intruder', '{}', clock_timestamp())`),
    ).rejects.toThrow(/row-level security/);
    await subscription.close();
  });

  it('may not shorten the time for which tombstones stay, which every service cleans up', async () => {
    await owner.send('auth.tenants', [{ key: 'gone', value: null }]);
    const sweep = 'select bus.sweep_partition(id, 1000, 0) from bus.topic_partition';
    await queryOnce(database.urlOf('worker'), sweep);
    const tombstones = `select 1 from bus.record where key = 'gone'`;
    expect(await queryOnce(database.adminUrl, tombstones)).toHaveLength(1);
    await queryOnce(database.urlOf('bus'), sweep);
    expect(await queryOnce(database.adminUrl, tombstones)).toHaveLength(0);
  });

  it('loses a right at the next preparation when the contract no longer gives it', async () => {
    await queryOnce(database.adminUrl, `insert into bus.topic_grant values ('worker', 'auth.sessions', true, true)`);
    await prepareBus(database.urlOf('bus'));
    await expect(busAs('worker').send('auth.sessions', numbered('k', 0, 1))).rejects.toMatchObject({ code: 'internal.error' });
  });
});

it('an existing log keeps its records when it is migrated to roles of services', async () => {
  const database = await specDatabase();
  await queryOnce(database.adminUrl, 'drop schema bus cascade');
  await queryOnce(database.adminUrl, 'create schema bus authorization bus');
  await queryOnce(
    database.urlOf('bus'),
    'create table bus.migration (name text primary key, applied_at timestamptz not null default now())',
  );
  await queryOnce(database.urlOf('bus'), LOG_MIGRATIONS[0]?.sql ?? '');
  await queryOnce(database.urlOf('bus'), `insert into bus.migration values ('0001_log')`);
  await queryOnce(database.urlOf('bus'), `insert into bus.topic values ('inference.workers', true, 1, null)`);
  await queryOnce(database.urlOf('bus'), `insert into bus.topic_partition (topic, partition) values ('inference.workers', 0)`);
  await queryOnce(
    database.urlOf('bus'),
    `select bus.append(json_build_array(json_build_object('p', id, 'k', 'worker-1', 'v', 'before', 'h', '{}'::json)), true, 1000) from bus.topic_partition`,
  );
  await prepareBus(database.urlOf('bus'));
  const worker = new EmbeddedEventBus({ kind: 'embedded', url: database.urlOf('worker') }, { logger, clientId: 'worker' });
  const gateway = new EmbeddedEventBus({ kind: 'embedded', url: database.urlOf('gateway') }, { logger, clientId: 'gateway' });
  await worker.send('inference.workers', [{ key: 'worker-1', value: 'after' }]);
  const received = new Received();
  const follower = await gateway.follow({ topics: ['inference.workers'], apply: (record) => received.add([record]) });
  await soon('it caught up', follower.caughtUp);
  expect(received.valuesOf('worker-1')).toEqual(['before', 'after']);
  await worker.close();
  await gateway.close();
});

/** Appends to partition 0 of `real`, under the name of `named`. */
function appendTo(named: string, real: string): string {
  return `select bus.append('${named}', json_build_array(json_build_object('p', (select id from bus.topic_partition where topic = '${real}' and partition = 0), 'k', 'k', 'v', 'v', 'h', '{}'::json)), 1000)`;
}
