import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBus } from '../event-bus.ts';
import { aGroup, eventually, Fixture, inOrder, killed, numbered, Received, soon, type BusUnderTest } from './harness.ts';
import type { ProcessMessage } from './process-protocol.ts';

const KEYS = inOrder(8).map((n) => `key ${n}`);

function handledBy(messages: readonly ProcessMessage[]): { key: string; value: string | null }[] {
  return messages.flatMap((message) => (message.kind === 'handled' ? message.records : []));
}

/** What is promised when members come and go, and when processes and the server die. */
export function describeMembers(server: () => BusUnderTest): void {
  let fixture: Fixture;
  let bus: EventBus;
  beforeEach(() => {
    fixture = new Fixture(server());
    bus = fixture.aBus();
  });
  afterEach(() => fixture.close());

  /** Sends the next hundred of every key, ten at a time. */
  const sendAll = async (topic: string, from: number): Promise<void> => {
    for (let at = from; at < from + 100; at += 10)
      await bus.send(
        topic,
        KEYS.flatMap((key) => numbered(key, at, at + 10)),
      );
  };

  describe('members that come and go', () => {
    it('share the partitions; nothing is lost and no key gets out of order when they join and leave', async () => {
      const topic = await fixture.made(bus);
      const group = aGroup();
      const all = new Received();
      const shares = [0, 0, 0];
      const member = (index: number) => ({
        group,
        topics: [topic],
        maxBatch: 7,
        handle: async ({ records }: { readonly records: Parameters<Received['add']>[0] }) => {
          shares[index] = (shares[index] ?? 0) + records.length;
          all.add(records);
        },
      });
      const first = await bus.subscribe(member(0));
      await soon('the first joined', first.joined);
      await sendAll(topic, 0);
      const second = await fixture.aBus().subscribe(member(1));
      await soon('the second joined', second.joined);
      await sendAll(topic, 100);
      const third = await fixture.aBus().subscribe(member(2));
      await soon('the third joined', third.joined);
      await sendAll(topic, 200);
      await eventually('each had its share', () => shares.every((share) => share > 0));
      await soon('the first left', first.close());
      await sendAll(topic, 300);
      await eventually('all was read', () => KEYS.every((key) => all.hasAll(key, 400)));
      for (const key of KEYS) expect(all.firstValuesOf(key)).toEqual(inOrder(400));
    });

    it('a member that is killed with a batch in hand loses nothing: others take over, and its batch comes again', async () => {
      const topic = await fixture.made(bus);
      const group = aGroup();
      const doomed = fixture.aProcess({ role: 'consume', topic, group, holds: true });
      await eventually('the process joined', () => doomed.messages.some((message) => message.kind === 'joined'));
      await sendAll(topic, 0);
      await eventually('the process has records in hand', () => handledBy(doomed.messages).length > 0);
      await killed(doomed.child);
      const { received } = await fixture.collect(bus, topic, { group });
      await eventually('all was read', () => KEYS.every((key) => received.hasAll(key, 100)));
      for (const key of KEYS) expect(received.firstValuesOf(key)).toEqual(inOrder(100));
    });

    it('a member that was frozen and thought dead cannot commit over the one that took its place', async () => {
      const topic = await fixture.made(bus, { partitions: 1 });
      const group = aGroup();
      const committed = async () => (await bus.lag(group, [topic]))[0]?.committedOffset;
      await bus.send(topic, numbered('k', 0, 10));
      const zombie = fixture.aProcess({ role: 'consume', topic, group, holds: false });
      await eventually('it read', async () => (await committed()) === 10);
      zombie.child.kill('SIGSTOP');
      const { received } = await fixture.collect(bus, topic, { group });
      await bus.send(topic, numbered('k', 10, 50));
      await eventually('the other took over', async () => (await committed()) === 50);
      zombie.child.kill('SIGCONT');
      await bus.send(topic, numbered('k', 50, 100));
      await eventually('all was read', async () => (await committed()) === 100);
      const values = [...handledBy(zombie.messages), ...received.records].map((record) => record.value);
      expect(new Set(values)).toEqual(new Set(inOrder(100)));
    });
  });

  describe('crashes', () => {
    it('what was acknowledged to a producer that is killed is there, in order, when another goes on where it stopped', async () => {
      const topic = await fixture.made(bus);
      const { received } = await fixture.collect(bus, topic);
      const doomed = fixture.aProcess({ role: 'produce', topic, key: 'k', from: 0 });
      const acknowledged = () => doomed.messages.filter((message) => message.kind === 'acknowledged').length;
      await eventually('some was acknowledged', () => acknowledged() >= 30);
      await killed(doomed.child);
      const next = acknowledged();
      await bus.send(topic, numbered('k', next, next + 20));
      await eventually('all was read', () => received.hasAll('k', next + 20));
      // It may have written one more than it told of.
      expect(received.firstValuesOf('k').slice(0, next + 20)).toEqual(inOrder(next + 20));
    });

    it('a restart of the server loses nothing and reorders nothing: producers, members and followers go on by themselves', async () => {
      const topic = await fixture.made(bus);
      const followed = new Received();
      const follower = await bus.follow({ topics: [topic], apply: (record) => followed.add([record]) });
      const { received } = await fixture.collect(bus, topic);
      await soon('the follower caught up', follower.caughtUp);
      let isOver = false;
      let sent = 0;
      const producing = (async () => {
        for (; !isOver || sent < 100; sent += 10) {
          await bus.send(
            topic,
            KEYS.flatMap((key) => numbered(key, sent, sent + 10)),
            { timeoutMs: 60_000 },
          );
        }
      })();
      await eventually('some was read', () => received.records.length > 0 && followed.records.length > 0);
      await server().stopServer();
      try {
        await eventually('the follower knows', () => !follower.isLive());
      } finally {
        await server().startServer();
      }
      const kept = followed.records.length;
      await eventually('the follower reads again', () => follower.isLive() && followed.records.length > kept);
      isOver = true;
      await soon('the producer ended', producing);
      for (const reader of [received, followed]) {
        await eventually('all was read', () => KEYS.every((key) => reader.hasAll(key, sent)));
        for (const key of KEYS) expect(reader.firstValuesOf(key)).toEqual(inOrder(sent));
      }
    });

    it('while the server is away a send fails in its time with service.unavailable, health says so, and what a follower read stays', async () => {
      const topic = await fixture.made(bus, { kind: 'projection' });
      await bus.send(topic, numbered('k', 0, 3));
      const followed = new Received();
      const follower = await bus.follow({ topics: [topic], apply: (record) => followed.add([record]) });
      await soon('the follower caught up', follower.caughtUp);
      expect(await bus.isHealthy()).toBe(true);
      await server().stopServer();
      try {
        const startedMs = performance.now();
        await expect(bus.send(topic, numbered('k', 3, 4), { timeoutMs: 1_500 })).rejects.toMatchObject({ code: 'service.unavailable' });
        expect(performance.now() - startedMs).toBeLessThan(5_000);
        expect(await bus.isHealthy()).toBe(false);
        await eventually('the follower knows', () => !follower.isLive());
        expect(followed.valuesOf('k')).toEqual(inOrder(3));
      } finally {
        await server().startServer();
      }
      await eventually('it can be sent again', () =>
        bus.send(topic, numbered('k', 4, 5), { timeoutMs: 5_000 }).then(
          () => true,
          () => false,
        ),
      );
      await eventually('the follower goes on', () => followed.valuesOf('k').includes('4'));
      expect(await bus.isHealthy()).toBe(true);
    });
  });
}
