import type { ClientBase } from 'pg';
import type { SignInHistory } from './sign-in-delay.ts';

/** Keys under which an attempt at one account is counted. */
export interface AccountKeys {
  readonly source: string;
  readonly account: string;
}

interface Row {
  readonly key: string;
  readonly failures: number;
  readonly not_before: Date;
}

/** Reads what is on record for an attempt. Attempts of the same source wait for each other until their transaction ends. */
export async function readHistory(client: ClientBase, keys: AccountKeys, network: string, now: Date): Promise<SignInHistory> {
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`weir.sign-in.${keys.source}`]);
  const { rows } = await client.query<Row>(
    'select key, failures, not_before from sign_in_attempts where key = any($1) and expires_at > $2',
    [[keys.source, keys.account, network], now],
  );
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const source = byKey.get(keys.source);
  return {
    source: source === undefined ? null : { failures: source.failures, notBeforeMs: source.not_before.getTime() },
    accountFailures: byKey.get(keys.account)?.failures ?? 0,
    networkFailures: byKey.get(network)?.failures ?? 0,
  };
}

/** Replaces the record of a source. */
export async function saveSource(client: ClientBase, key: string, failures: number, notBefore: Date, expiresAt: Date): Promise<void> {
  await client.query(
    `insert into sign_in_attempts (key, failures, not_before, expires_at) values ($1, $2, $3, $4)
     on conflict (key) do update set failures = excluded.failures, not_before = excluded.not_before, expires_at = excluded.expires_at`,
    [key, failures, notBefore, expiresAt],
  );
}

/**
 * Counts an attempt under each key, in a window that begins with its first attempt.
 *
 * @param keys accounts in their order, the network last: attempts that share some never deadlock
 */
export async function countWide(client: ClientBase, keys: readonly string[], now: Date, windowEnd: Date): Promise<void> {
  for (const key of keys) {
    await client.query(
      `insert into sign_in_attempts as known (key, failures, not_before, expires_at) values ($1, 1, $2, $3)
       on conflict (key) do update set
         failures = case when known.expires_at <= $2 then 1 else known.failures + 1 end,
         expires_at = case when known.expires_at <= $2 then excluded.expires_at else known.expires_at end`,
      [key, now, windowEnd],
    );
  }
}

/** Takes one attempt back under each key, in the order of `countWide`; what else failed stays counted. */
export async function takeBackWide(client: ClientBase, keys: readonly string[]): Promise<void> {
  for (const key of keys) await client.query('update sign_in_attempts set failures = greatest(failures - 1, 0) where key = $1', [key]);
}

/** Takes one attempt back from its source, which may try again at once. */
export async function takeBackFromSource(client: ClientBase, key: string, now: Date): Promise<void> {
  await client.query('update sign_in_attempts set failures = greatest(failures - 1, 0), not_before = $2 where key = $1', [key, now]);
}

/** Deletes expired records, and of more than `maxRecords` those that expire first. */
export async function purgeAttempts(client: ClientBase, now: Date, maxRecords: number): Promise<void> {
  await client.query('delete from sign_in_attempts where expires_at <= $1', [now]);
  await client.query(
    'delete from sign_in_attempts where key in (select key from sign_in_attempts order by expires_at desc, key offset $1)',
    [maxRecords],
  );
}
