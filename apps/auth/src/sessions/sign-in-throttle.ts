import { hash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { AppError, type Clock } from '@weir/kernel';
import { ACROSS_TENANTS, Database } from '@weir/platform/database';
import { CLOCK } from '@weir/platform/service';
import type { AuthDatabase } from '../auth-database.ts';
import type { KnownDevice } from './known-device.ts';
import { networkOf } from './network.ts';
import {
  countWide,
  lockHistories,
  purgeAttempts,
  saveSource,
  takeBackWide,
  takeBackFromSource,
  type AccountKeys,
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
  /** Proof of an earlier sign-in; null without one. */
  readonly device: KnownDevice | null;
}

interface CountedAccount extends AccountKeys {
  /** Id of the person; null for an address that nobody has. */
  readonly personId: string | null;
  readonly isKnownDevice: boolean;
}

/** An admitted attempt, to be settled by `succeeded`, `failed` or `withdrawn`. */
export interface SignInAttempt {
  /** Accounts whose password may be checked now. */
  readonly admitted: readonly CountedAccount[];
  readonly network: string;
}

/**
 * Delays password guessing by account and source (a network, or a device on which the person signed in before), see `decide`.
 * Counts are in PostgreSQL: they hold for all processes of auth and survive a restart. An attempt is counted before the password
 * is checked and taken back when it was right, so a burst of guesses is not admitted together.
 *
 * An e-mail address may stand for people of several tenants. Each of them is counted for itself: who has one of the passwords, or
 * sets one, gets no further guesses at the others.
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
   * Counts an attempt at each account that admits one as failed until it is settled.
   *
   * @param email         counted in place of an account where nobody has it
   * @param personIds     the people who have it
   * @throws auth.too_many_attempts  no account admits one; with the time after which the next attempt is admitted
   */
  async begin(email: string, personIds: readonly string[], { address, device }: SignInSource): Promise<SignInAttempt> {
    const origin = `network ${networkOf(address)}`;
    const accounts = (personIds.length === 0 ? [null] : personIds)
      .map((personId) => accountOf(email, personId, origin, device))
      .sort((one, other) => (one.source < other.source ? -1 : 1));
    const network = digest(origin);
    this.#enter(network);
    try {
      const nowMs = this.#clock.now();
      const decisions = await this.#count(accounts, network, nowMs);
      const admitted = accounts.filter((_, index) => decisions[index]?.isAdmitted);
      if (admitted.length === 0) {
        const notBeforeMs = Math.min(...decisions.map((decision) => decision.notBeforeMs));
        throw new AppError('auth.too_many_attempts', { retryAfterMs: notBeforeMs - nowMs });
      }
      return { admitted, network };
    } catch (error) {
      this.#leave(network);
      throw error;
    }
  }

  /**
   * The password was that of a person: clears the failures of their source, and takes back this attempt alone from their account
   * and from the network. For other people with the address it stays a failure.
   */
  async succeeded({ admitted, network }: SignInAttempt, personId: string): Promise<void> {
    this.#leave(network);
    const nowMs = this.#clock.now();
    await this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      const own = admitted.filter((account) => account.personId === personId);
      // The record stays: a source that proved the password is not new, and does not wait for the wide counts.
      for (const { source } of own) await saveSource(client, source, 0, new Date(nowMs), new Date(nowMs + SOURCE_MEMORY_MS));
      await takeBackWide(client, wideKeys(own, network));
    });
  }

  /** The password was wrong: the attempt stays counted. */
  failed({ network }: SignInAttempt): void {
    this.#leave(network);
  }

  /** The password was not checked: the attempt does not count. */
  async withdrawn({ admitted, network }: SignInAttempt): Promise<void> {
    this.#leave(network);
    const now = new Date(this.#clock.now());
    await this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      for (const { source } of admitted) await takeBackFromSource(client, source, now);
      await takeBackWide(client, wideKeys(admitted, network));
    });
  }

  async #count(accounts: readonly CountedAccount[], network: string, nowMs: number): Promise<SignInDecision[]> {
    const now = new Date(nowMs);
    return this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      if (nowMs - this.#purgedAtMs >= PURGE_INTERVAL_MS) {
        this.#purgedAtMs = nowMs;
        await purgeAttempts(client, now, MAX_RECORDS);
      }
      const histories = await lockHistories(client, accounts, network, now);
      const decisions = histories.map((history, index) => decide(history, accounts[index]?.isKnownDevice ?? false, nowMs));
      const admitted: CountedAccount[] = [];
      for (const [index, account] of accounts.entries()) {
        const [history, decision] = [histories[index], decisions[index]];
        if (history === undefined || decision === undefined) continue;
        if (decision.isAdmitted) admitted.push(account);
        else if (history.source !== null) continue;
        const failures = (history.source?.failures ?? 0) + (decision.isAdmitted ? 1 : 0);
        const remembered = new Date(Math.max(decision.notBeforeMs, nowMs) + SOURCE_MEMORY_MS);
        await saveSource(client, account.source, failures, new Date(decision.notBeforeMs), remembered);
      }
      if (admitted.length > 0) await countWide(client, wideKeys(admitted, network), now, new Date(nowMs + WIDE_WINDOW_MS));
      return decisions;
    });
  }

  /** @throws auth.too_many_attempts */
  #enter(network: string): void {
    const count = this.#inProgress.get(network) ?? 0;
    if (count >= MAX_IN_PROGRESS)
      throw new AppError('auth.too_many_attempts', { message: 'Too many sign-ins at once from one network.', retryAfterMs: 1_000 });
    this.#inProgress.set(network, count + 1);
  }

  #leave(network: string): void {
    const count = (this.#inProgress.get(network) ?? 1) - 1;
    if (count === 0) this.#inProgress.delete(network);
    else this.#inProgress.set(network, count);
  }
}

function accountOf(email: string, personId: string | null, network: string, device: KnownDevice | null): CountedAccount {
  const account = digest(personId === null ? `address ${email}` : `person ${personId}`);
  const isKnownDevice = device !== null && device.personId === personId;
  return { personId, isKnownDevice, account, source: digest(`source ${account} ${isKnownDevice ? `device ${device.id}` : network}`) };
}

/** Accounts in their order, and the network. */
function wideKeys(accounts: readonly CountedAccount[], network: string): string[] {
  return [...accounts.map(({ account }) => account).sort(), network];
}

function digest(text: string): string {
  return hash('sha256', text, 'hex');
}
