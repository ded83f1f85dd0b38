import { v7 } from 'uuid';

/** Makes ids. Injected, so that tests can make theirs predictable. */
export interface Ids {
  /** A UUID version 7 (RFC 9562): unique, and sorted by the time it was made. */
  next(): string;
}

export const systemIds: Ids = { next: () => v7() };
