/** Most records in a batch unless the subscription says otherwise: large enough for one statement to be worth its round trip. */
export const DEFAULT_MAX_BATCH = 500;
/** Batches that a subscription has in hand at once, of different partitions: bounds its memory, and its share of the database. */
export const MAX_CONCURRENT_BATCHES = 4;
/** How long `close` waits for a handler to end; then it leaves, and the batch comes again elsewhere. */
export const CLOSE_TIMEOUT_MS = 10_000;
/** How long `send` tries unless the caller says otherwise. */
export const DEFAULT_SEND_TIMEOUT_MS = 10_000;
/** A member that is silent for this long counts as dead, and others take its partitions. */
export const DEFAULT_SESSION_TIMEOUT_MS = 10_000;
