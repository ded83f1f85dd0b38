import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBus } from '../event-bus.ts';
import { aTopic, eventually, Fixture, inOrder, numbered, Received, soon, type BusUnderTest } from './harness.ts';

/** What is promised to those who keep projections. */
export function describeFollowers(server: () => BusUnderTest): void {
  let fixture: Fixture;
  let bus: EventBus;
  beforeEach(() => {
    fixture = new Fixture(server());
    bus = fixture.aBus();
  });
  afterEach(() => fixture.close());

  const follow = async (topics: readonly string[]) => {
    const followed = new Received();
    const last = new Map<string, string>();
    const follower = await fixture.aBus().follow({
      topics,
      apply: (record) => {
        followed.add([record]);
        if (record.value === null) last.delete(record.key);
        else last.set(record.key, record.value);
      },
    });
    return { followed, last, follower };
  };

  describe('followers', () => {
    it('have read everything that was there when they say that they have caught up, and then what is added', async () => {
      const topics = [await fixture.made(bus, { kind: 'projection' }), await fixture.made(bus, { kind: 'projection', partitions: 1 })];
      for (const topic of topics)
        await bus.send(
          topic,
          inOrder(2_000).map((n) => ({ key: `key ${n}`, value: n })),
        );
      const { last, follower, followed } = await follow(topics);
      await soon('it caught up', follower.caughtUp);
      expect(followed.records).toHaveLength(4_000);
      expect(follower.isLive()).toBe(true);
      await bus.send(topics[0] ?? '', [{ key: 'key 7', value: 'new' }]);
      await eventually('it follows', () => last.get('key 7') === 'new');
    });

    it('of an empty topic have caught up at once; of a topic that is not there yet, when it has been made', async () => {
      const empty = await follow([await fixture.made(bus, { kind: 'projection' })]);
      await soon('it caught up with nothing', empty.follower.caughtUp);
      const later = aTopic({ kind: 'projection' });
      const { follower, last } = await follow([later.name]);
      await bus.ensureTopics([later]);
      await bus.send(later.name, [{ key: 'k', value: 'v' }]);
      await soon('it caught up', follower.caughtUp);
      await eventually('it follows', () => last.get('k') === 'v');
    });

    it('of one process do not disturb each other: a second one starts from the beginning', async () => {
      const topic = await fixture.made(bus, { kind: 'projection' });
      const first = new Received();
      const second = new Received();
      const early = await bus.follow({ topics: [topic], apply: (record) => first.add([record]) });
      await soon('the first caught up', early.caughtUp);
      await bus.send(topic, numbered('k', 0, 10));
      const late = await bus.follow({ topics: [topic], apply: (record) => second.add([record]) });
      await soon('the second caught up', late.caughtUp);
      expect(second.valuesOf('k')).toEqual(inOrder(10));
      await late.close();
      await bus.send(topic, numbered('k', 10, 20));
      await eventually('the first goes on', () => first.hasAll('k', 20));
      expect(second.valuesOf('k')).toEqual(inOrder(10));
    });
  });

  describe('compacted topics', () => {
    it('keep the last value of each key, forget removed keys, and still replay to a known end', async () => {
      const topic = await fixture.made(bus, { kind: 'projection', partitions: 2 });
      for (let round = 0; round < 20; round++)
        await bus.send(
          topic,
          inOrder(50).map((n) => ({ key: `key ${n}`, value: `${n} in round ${round}` })),
        );
      await bus.send(
        topic,
        inOrder(25).map((n) => ({ key: `key ${n}`, value: null })),
      );
      const before = await follow([topic]);
      await soon('it caught up', before.follower.caughtUp);
      await server().compact(topic);
      const after = await follow([topic]);
      await soon('it caught up behind the gaps', after.follower.caughtUp);
      expect(after.last).toEqual(before.last);
      expect(after.last.size).toBe(25);
      expect(after.last.get('key 30')).toBe('30 in round 19');
      expect(after.followed.records.length).toBeLessThan(before.followed.records.length / 4);
    });

    it('tell of a removed key by its tombstone, to those who follow', async () => {
      const topic = await fixture.made(bus, { kind: 'projection' });
      await bus.send(topic, [{ key: 'k', value: 'v' }]);
      const { last, follower } = await follow([topic]);
      await soon('it caught up', follower.caughtUp);
      expect(last.get('k')).toBe('v');
      await bus.send(topic, [{ key: 'k', value: null }]);
      await eventually('it is removed', () => !last.has('k'));
    });
  });
}
