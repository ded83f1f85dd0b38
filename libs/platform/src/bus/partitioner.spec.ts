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

// Utils.toPositive(Utils.murmur2(key)) % partitions of kafka-clients 4.3.1, for 3, 4, 5, 7, 8 and 16 partitions; BuiltInPartitioner agrees.
// Negative hashes and partition counts that are no power of two are where another way to make the hash positive would differ.
it.each([
  ['a', -1563381124, [1, 0, 4, 5, 4, 12]],
  ['b', -1853091852, [2, 0, 1, 6, 4, 4]],
  ['c', -1877468854, [1, 2, 4, 0, 2, 10]],
  ['acme', -1281648380, [0, 0, 3, 4, 4, 4]],
  ['k0', -704538303, [2, 1, 0, 2, 1, 1]],
  ['日本', -700811021, [0, 3, 2, 1, 3, 3]],
  ['tenant-1', 374640331, [1, 3, 1, 2, 3, 11]],
  ['0197f2d4-5c3b-7c41-9d0e-6b1f2a3c4d5e', 1488768884, [2, 0, 4, 1, 4, 4]],
  ['ключ', 2122343024, [2, 0, 4, 4, 0, 0]],
  ['', 275646681, [0, 1, 1, 2, 1, 9]],
])('the partition of a key is the one that Kafka’s default partitioner chooses: %s, whose hash is %d', (key, hash, partitions) => {
  expect(murmur2(Buffer.from(key))).toBe(hash);
  expect([3, 4, 5, 7, 8, 16].map((count) => partitionOf(key, count))).toEqual(partitions);
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
