/**
 * Murmur2 as Apache Kafka computes it (32 bits, seed 0x9747b28c), so that a key lies in the same
 * partition on both buses and for Kafka's own clients.
 */
export function murmur2(data: Uint8Array): number {
  const multiplier = 0x5bd1e995;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const tail = data.length & ~3;
  let hash = 0x9747b28c ^ data.length;
  for (let at = 0; at < tail; at += 4) {
    let word = Math.imul(view.getInt32(at, true), multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  for (let at = data.length - 1; at >= tail; at--) hash ^= view.getUint8(at) << (8 * (at - tail));
  if (tail < data.length) hash = Math.imul(hash, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

/** The partition of a key among `partitions`: that of Kafka's default partitioner. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitions;
}

/** Splits records by partition; within a partition they keep the order in which they were given. */
export function byPartition<R extends { readonly key: string }>(records: readonly R[], partitions: number): Map<number, R[]> {
  const groups = new Map<number, R[]>();
  for (const record of records) {
    const partition = partitionOf(record.key, partitions);
    const group = groups.get(partition);
    if (group === undefined) groups.set(partition, [record]);
    else group.push(record);
  }
  return groups;
}
