import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

/** Makes ids. Injected, so that tests can make theirs predictable. */
export interface Ids {
  /** A UUID version 7 (RFC 9562): unique, and sorted by the millisecond it was made in. */
  next(): string;
}

const ID_BYTES = 16;
/** Random bytes are asked of the system for this many ids at once: each request to it costs more than an id. */
const POOLED_IDS = 256;

const pool = new Uint8Array(ID_BYTES * POOLED_IDS);
let used = pool.length;

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += ID_BYTES;
  return pool.slice(used - ID_BYTES, used);
}

export const systemIds: Ids = { next: () => v7({ random: randomBytes() }) };
