import { hash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { AppError, type Clock } from '@weir/kernel';
import { ACROSS_TENANTS, Database } from '@weir/platform/database';
import { CLOCK } from '@weir/platform/service';
import type { AuthDatabase } from '../auth-database.ts';
import { accountOf, type KnownDevice } from './known-device.ts';
import { networkOf } from './network.ts';
import {
  countWide,
  lockHistory,
  purgeAttempts,
  saveSource,
  takeBackWide,
  takeBackFromSource,
  type AttemptKeys,
} from './sign-in-attempts.store.ts';
import { decide, type SignInDecision } from './sign-in-delay.ts';

/** Failures of a source are forgotten so long after the last one: several times the longest delay. */
const SOURCE_MEMORY_MS = 2 * 3_600_000;
/** Window in which failures of an account and of a network are counted. */
const WIDE_WINDOW_MS = 15 * 60_000;
const PURGE_INTERVAL_MS = 60_000;
/** Some 100 MB of table and indexes. */
const MAX_RECORDS = 500_000;
/** Attempts of one network in progress: a quarter of the password hashes that may be, so that no network takes all of them. */
export const MAX_IN_PROGRESS = 16;

/** Where a sign-in comes from. */
export interface SignInSource {
  /** Network address of the client, as the gateway saw it. */
  readonly address: string;
  /** Proof of an earlier sign-in to the account; null without one. */
  readonly device: KnownDevice | null;
}

/** An admitted attempt, to be settled by `succeeded`, `failed` or `withdrawn`. */
export interface SignInAttempt {
  readonly keys: AttemptKeys;
  /** Bounds attempts in progress: the network or the known device. */
  readonly origin: string;
}

/**
 * Delays password guessing by account and source (a network, or a device that signed in before), see `decide`. Counts are in
 * PostgreSQL: they hold for all processes of auth and survive a restart. An attempt is counted before its password is checked
 * and taken back when it was right, so a burst of guesses is not admitted together.
 */
@Injectable()
export class SignInThrottle {
  readonly #database: AuthDatabase;
  readonly #clock: Clock;
  readonly #inProgress = new Map<string, number>();
  #purgedAtMs = Number.NEGATIVE_INFINITY;

  constructor(@Inject(Database) database: AuthDatabase, @Inject(CLOCK) clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Counts an attempt as failed until it is settled.
   *
   * @throws auth.too_many_attempts  with the time after which the source's next attempt is admitted
   */
  async begin(email: string, source: SignInSource): Promise<SignInAttempt> {
    const attempt = attemptOf(email, source);
    this.#enter(attempt.origin);
    try {
      const nowMs = this.#clock.now();
      const decision = await this.#count(attempt.keys, source.device !== null, nowMs);
      if (!decision.isAdmitted) throw new AppError('auth.too_many_attempts', { retryAfterMs: decision.notBeforeMs - nowMs });
      return attempt;
    } catch (error) {
      this.#leave(attempt.origin);
      throw error;
    }
  }

  /** The password was right: clears the failures of this source, and takes back this attempt alone from the account and the network. */
  async succeeded({ keys, origin }: SignInAttempt): Promise<void> {
    this.#leave(origin);
    const nowMs = this.#clock.now();
    await this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      // The record stays: a source that proved the password is not new, and does not wait for the wide counts.
      await saveSource(client, keys.source, 0, new Date(nowMs), new Date(nowMs + SOURCE_MEMORY_MS));
      await takeBackWide(client, keys);
    });
  }

  /** The password was wrong: the attempt stays counted. */
  failed({ origin }: SignInAttempt): void {
    this.#leave(origin);
  }

  /** The password was not checked: the attempt does not count. */
  async withdrawn({ keys, origin }: SignInAttempt): Promise<void> {
    this.#leave(origin);
    await this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      await takeBackFromSource(client, keys.source, new Date(this.#clock.now()));
      await takeBackWide(client, keys);
    });
  }

  async #count(keys: AttemptKeys, isKnownDevice: boolean, nowMs: number): Promise<SignInDecision> {
    const now = new Date(nowMs);
    return this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      if (nowMs - this.#purgedAtMs >= PURGE_INTERVAL_MS) {
        this.#purgedAtMs = nowMs;
        await purgeAttempts(client, now, MAX_RECORDS);
      }
      const history = await lockHistory(client, keys, now);
      const decision = decide(history, isKnownDevice, nowMs);
      const failures = history.source?.failures ?? 0;
      if (decision.isAdmitted || history.source === null) {
        const remembered = new Date(Math.max(decision.notBeforeMs, nowMs) + SOURCE_MEMORY_MS);
        await saveSource(client, keys.source, decision.isAdmitted ? failures + 1 : failures, new Date(decision.notBeforeMs), remembered);
      }
      if (decision.isAdmitted) await countWide(client, keys, now, new Date(nowMs + WIDE_WINDOW_MS));
      return decision;
    });
  }

  /** @throws auth.too_many_attempts */
  #enter(origin: string): void {
    const count = this.#inProgress.get(origin) ?? 0;
    if (count >= MAX_IN_PROGRESS)
      throw new AppError('auth.too_many_attempts', { message: 'Too many sign-ins at once from one network.', retryAfterMs: 1_000 });
    this.#inProgress.set(origin, count + 1);
  }

  #leave(origin: string): void {
    const count = (this.#inProgress.get(origin) ?? 1) - 1;
    if (count === 0) this.#inProgress.delete(origin);
    else this.#inProgress.set(origin, count);
  }
}

function attemptOf(email: string, { address, device }: SignInSource): SignInAttempt {
  const account = accountOf(email);
  const network = `network ${networkOf(address)}`;
  const origin = device === null ? network : `device ${device.id}`;
  return {
    origin,
    keys: { source: digest(`source ${account} ${origin}`), account: digest(`account ${account}`), network: digest(network) },
  };
}

function digest(text: string): string {
  return hash('sha256', text, 'hex');
}
