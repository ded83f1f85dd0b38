import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { aTopic, eventually, inOrder, numbered, Received, soon } from '../conformance/harness.ts';
import { EmbeddedEventBus } from './embedded-event-bus.ts';
import { GroupMembership } from './group-membership.ts';
import { Housekeeping } from './housekeeping.ts';
import { Log } from './log.ts';
import { LOG_MIGRATIONS } from './schema.ts';

declare module 'vitest' {
  interface ProvidedContext {
    pgUrl: string;
  }
}

const logger = pino({ level: 'silent' });

/** What the log does beyond the port's promises, looked at in its tables. */
describe('the log in PostgreSQL', () => {
  const admin = new pg.Client({ connectionString: inject('pgUrl') });
  const connected = admin.connect();
  let url: string;
  let bus: EmbeddedEventBus;
  let sql: pg.Client;

  const databaseUrl = (database: string): string => {
    const address = new URL(inject('pgUrl'));
    address.pathname = `/${database}`;
    return address.href;
  };

  beforeEach(async () => {
    await connected;
    const database = `bus_${randomUUID().replaceAll('-', '')}`;
    await admin.query(`create database ${database}`);
    url = databaseUrl(database);
    bus = new EmbeddedEventBus({ kind: 'embedded', url }, { logger, clientId: 'log' });
    sql = new pg.Client({ connectionString: url });
    await sql.connect();
  });
  afterEach(async () => {
    await sql.end();
    await bus.close();
    await admin.query(`drop database ${new URL(url).pathname.slice(1)} with (force)`);
  });
  afterAll(() => admin.end());

  const valuesIn = async (topic: string): Promise<(string | null)[]> => {
    const { rows } = await sql.query<{ value: string | null }>(
      'select value from bus.record join bus.topic_partition p on p.id = partition_id where topic = $1 order by "offset"',
      [topic],
    );
    return rows.map((row) => row.value);
  };

  const made = async (overrides: Parameters<typeof aTopic>[0]): Promise<string> => {
    const topic = aTopic(overrides);
    await bus.ensureTopics([topic]);
    return topic.name;
  };

  it('is set up once, however many processes start at the same moment', async () => {
    const topic = aTopic();
    const others = Array.from({ length: 6 }, () => new EmbeddedEventBus({ kind: 'embedded', url }, { logger, clientId: 'racer' }));
    await Promise.all(others.map((other) => other.ensureTopics([topic])));
    await Promise.all(others.map((other) => other.close()));
    expect((await sql.query('select name from bus.migration')).rows).toHaveLength(LOG_MIGRATIONS.length);
    expect((await sql.query('select 1 from bus.topic_partition')).rows).toHaveLength(4);
  });

  it('needs no right to create schemas when the schema is there', async () => {
    const role = `role_${randomUUID().replaceAll('-', '')}`;
    await sql.query(`create role ${role} login password 'secret'`);
    await sql.query(`create schema bus authorization ${role}`);
    const address = new URL(url);
    address.username = role;
    address.password = 'secret';
    const owner = new EmbeddedEventBus({ kind: 'embedded', url: address.href }, { logger, clientId: 'owner' });
    const topic = aTopic();
    await owner.ensureTopics([topic]);
    await owner.send(topic.name, numbered('k', 0, 1));
    await owner.close();
    expect(await valuesIn(topic.name)).toEqual(['0']);
  });

  it('keeps the partitions of a topic whose configured number changed, because its keys would lose their order, and warns', async () => {
    const lines: string[] = [];
    const warning = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
    const topic = aTopic({ partitions: 2 });
    await bus.ensureTopics([topic]);
    const other = new EmbeddedEventBus({ kind: 'embedded', url }, { logger: warning, clientId: 'other' });
    await other.ensureTopics([{ ...topic, partitions: 3 }]);
    await other.send(
      topic.name,
      inOrder(9).map((n) => ({ key: `key ${n}`, value: n })),
    );
    await other.close();
    expect((await sql.query('select 1 from bus.topic_partition')).rows).toHaveLength(2);
    expect(lines.join()).toContain('2 partitions, configured 3');
    expect(lines.join()).toContain(topic.name);
  });

  it('a send that was given up while it waited never appears behind a later one', async () => {
    const topic = await made({ partitions: 1 });
    await sql.query('begin');
    await sql.query('select 1 from bus.topic_partition for update');
    await expect(bus.send(topic, [{ key: 'k', value: 'given up' }], { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'service.unavailable',
    });
    await sql.query('commit');
    await bus.send(topic, [{ key: 'k', value: 'later' }]);
    await eventually('no append is under way', async () => {
      const { rows } = await sql.query(
        `select 1 from pg_stat_activity where state = 'active' and query like '%bus.append%' and pid <> pg_backend_pid() and datname = current_database()`,
      );
      return rows.length === 0;
    });
    // It may have been written after all, before its sender gave up or just then; but never behind what was sent next.
    expect((await valuesIn(topic)).at(-1)).toBe('later');
  });

  it('a partition has no holes and no overlaps when many send at once, and sends over several partitions do not deadlock', async () => {
    const topic = await made({ partitions: 3 });
    const buses = [
      bus,
      ...Array.from({ length: 3 }, () => new EmbeddedEventBus({ kind: 'embedded', url }, { logger, clientId: 'sender' })),
    ];
    await Promise.all(
      buses.flatMap((one) =>
        inOrder(25).map(() =>
          one.send(
            topic,
            inOrder(9).map((n) => ({ key: `key ${n}`, value: n })),
          ),
        ),
      ),
    );
    await Promise.all(buses.slice(1).map((one) => one.close()));
    const { rows } = await sql.query<{ records: string; next_offset: string; last: string }>(
      'select count(*) as records, max("offset") + 1 as last, p.next_offset from bus.record join bus.topic_partition p on p.id = partition_id group by p.id',
    );
    expect(rows.reduce((sum, row) => sum + Number(row.records), 0)).toBe(900);
    for (const row of rows) expect({ last: row.last, next: row.next_offset }).toEqual({ last: row.records, next: row.records });
  });

  it('facts are removed after their retention, and only those', async () => {
    const topic = await made({ partitions: 1, retentionMs: 60_000 });
    await bus.send(topic, numbered('k', 0, 2_500));
    await sql.query(`update bus.record set written_at = written_at - interval '2 minutes' where "offset" < 2400`);
    const log = new Log({ url, clientId: 'sweep', logger });
    await new Housekeeping(log, logger).sweep();
    await log.close();
    expect(await valuesIn(topic)).toEqual(inOrder(2_500).slice(2_400));
    const received = new Received();
    const follower = await bus.follow({ topics: [topic], apply: (record) => received.add([record]) });
    await soon('a follower passes over what is gone', follower.caughtUp);
    expect(received.records).toHaveLength(100);
  });

  it('a tombstone stays for its grace, so that followers that were away see it, and goes then with nothing left behind', async () => {
    const topic = await made({ kind: 'projection', partitions: 1 });
    await bus.send(topic, [
      { key: 'a', value: '1' },
      { key: 'a', value: '2' },
      { key: 'a', value: null },
      { key: 'b', value: '1' },
    ]);
    const log = new Log({ url, clientId: 'sweep', logger });
    await new Housekeeping(log, logger).sweep();
    expect(await valuesIn(topic)).toEqual([null, '1']);
    await new Housekeeping(log, logger, { tombstoneGraceMs: 0 }).sweep();
    await log.close();
    expect(await valuesIn(topic)).toEqual(['1']);
  });

  it('a follower reaches the known end when compaction has removed the last records', async () => {
    const topic = await made({ kind: 'projection', partitions: 1 });
    await bus.send(topic, [
      { key: 'a', value: '1' },
      { key: 'a', value: null },
    ]);
    const log = new Log({ url, clientId: 'sweep', logger });
    await new Housekeeping(log, logger, { tombstoneGraceMs: 0 }).sweep();
    await log.close();
    expect(await valuesIn(topic)).toEqual([]);
    const follower = await bus.follow({ topics: [topic], apply: () => undefined });
    await soon('it caught up with the gap at the end', follower.caughtUp);
  });

  it('a commit of a member that lost its partition is refused, and what the next one committed stays', async () => {
    const topic = await made({ partitions: 1 });
    await bus.send(topic, numbered('k', 0, 20));
    const log = new Log({ url, clientId: 'members', logger });
    const member = (memberId: string) => new GroupMembership({ log, group: 'g', memberId, topics: [topic], sessionTimeoutMs: 60_000 });
    const [first, second] = [member('first'), member('second')];
    const [owned] = (await first.round()).owned;
    if (owned === undefined) throw new Error('the first member owns nothing');
    expect(await first.commit(owned, 5)).toBe(true);
    // What a round does when the session of the first has ended.
    await sql.query(`delete from bus.group_member where member_id = 'first'`);
    const [taken] = (await second.round()).owned;
    if (taken === undefined) throw new Error('the second member owns nothing');
    expect(taken).toMatchObject({ committedOffset: 5, epoch: owned.epoch + 1 });
    expect(await second.commit(taken, 10)).toBe(true);
    expect(await first.commit(owned, 7)).toBe(false);
    expect((await bus.lag('g', [topic]))[0]?.committedOffset).toBe(10);
    await log.close();
  });

  it('costs at most five connections in a process that sends, reads and follows', async () => {
    const topic = await made({ partitions: 8 });
    const received = new Received();
    const subscription = await bus.subscribe({ group: 'g', topics: [topic], handle: async (batch) => received.add(batch.records) });
    await bus.follow({ topics: [topic], apply: () => undefined });
    await soon('it joined', subscription.joined);
    await Promise.all(inOrder(50).map((n) => bus.send(topic, numbered(`key ${n}`, 0, 10))));
    await eventually('all was read', () => received.records.length >= 500);
    const { rows } = await sql.query<{ connections: string }>(
      'select count(*) as connections from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    expect(Number(rows[0]?.connections)).toBeLessThanOrEqual(5);
  });
});
