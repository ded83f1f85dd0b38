import { expect, it } from 'vitest';
import { byPartition, murmur2, partitionOf } from './partitioner.ts';

// The vectors of Kafka's own UtilsTest.testMurmur2.
it.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('a key lies where Kafka’s own clients would put it: %s', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash);
});

it('every key has a partition, whatever its characters', () => {
  for (const key of ['', 'ä', '日本語', '😀', 'a'.repeat(1000)]) {
    expect(partitionOf(key, 7)).toBeGreaterThanOrEqual(0);
    expect(partitionOf(key, 7)).toBeLessThan(7);
  }
});

it('splitting by partition keeps the order of each key', () => {
  const records = Array.from({ length: 100 }, (_, n) => ({ key: `k${n % 5}`, n }));
  for (const group of byPartition(records, 3).values()) {
    for (const key of new Set(group.map((record) => record.key))) {
      const order = group.filter((record) => record.key === key).map((record) => record.n);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  }
});
