/** Sources of one sign-in attempt whose failures are counted. */
export type Scope = keyof typeof GROWTH;

/**
 * Failures without a delay, and the upper bound of the delay after more of them.
 *
 * `source` is one account from one network or one known device: its own mistakes. `account` is one account from all networks,
 * `network` is one network (an office, a proxy) over all accounts.
 */
const GROWTH = {
  source: { freeFailures: 10, maxDelayMs: 15 * 60_000 },
  account: { freeFailures: 20, maxDelayMs: 5 * 60_000 },
  network: { freeFailures: 100, maxDelayMs: 60_000 },
} as const;

const FIRST_DELAY_MS = 1_000;

/** Minimum time between an attempt and the next one after `failures` failures, in milliseconds: doubles with each further failure. */
export function delayMs(scope: Scope, failures: number): number {
  const { freeFailures, maxDelayMs } = GROWTH[scope];
  return failures < freeFailures ? 0 : Math.min(maxDelayMs, FIRST_DELAY_MS * 2 ** (failures - freeFailures));
}

/** Recorded attempts that decide about the next one. */
export interface SignInHistory {
  /** Null: no attempt of this source on record. */
  readonly source: { readonly failures: number; readonly notBeforeMs: number } | null;
  readonly accountFailures: number;
  readonly networkFailures: number;
}

export interface SignInDecision {
  readonly isAdmitted: boolean;
  /** Earliest time of the source's next attempt. A refused source is admitted then, whatever others do meanwhile. */
  readonly notBeforeMs: number;
}

/**
 * Decides about an attempt at `nowMs`. The wide counts (the account over all networks, the network over all accounts), which
 * strangers can raise, postpone a source's attempts, but its waiting time starts once and is its own: a stranger can delay a sign-in
 * and never prevent it.
 *
 * @param isKnownDevice the caller proved an earlier sign-in to this account; the wide counts then have no effect
 */
export function decide(history: SignInHistory, isKnownDevice: boolean, nowMs: number): SignInDecision {
  const { source, accountFailures, networkFailures } = history;
  const wideDelayMs = (attempts: number): number =>
    isKnownDevice ? 0 : Math.max(delayMs('account', accountFailures + attempts), delayMs('network', networkFailures + attempts));
  const notBeforeMs = source?.notBeforeMs ?? nowMs + wideDelayMs(0);
  if (nowMs < notBeforeMs) return { isAdmitted: false, notBeforeMs };
  const nextDelayMs = Math.max(delayMs('source', (source?.failures ?? 0) + 1), wideDelayMs(1));
  return { isAdmitted: true, notBeforeMs: nowMs + nextDelayMs };
}
