import { hash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { AppError, type Clock } from '@weir/kernel';
import { ACROSS_TENANTS, Database } from '@weir/platform/database';
import { networkOf } from '@weir/platform/http';
import { CLOCK } from '@weir/platform/service';
import type { AuthDatabase } from '../auth-database.ts';
import type { KnownDevice } from './known-device.ts';
import {
  countWide,
  readHistory,
  purgeAttempts,
  saveSource,
  takeBackWide,
  takeBackFromSource,
  type AccountKeys,
} from './sign-in-attempts.store.ts';
import { decide, type SignInDecision, type SignInHistory } from './sign-in-delay.ts';

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
  /** Id of a person; null for the e-mail address itself, whether or not anybody has it. */
  readonly personId: string | null;
  readonly isKnownDevice: boolean;
}

interface AccountDecision extends SignInDecision {
  readonly account: CountedAccount;
  readonly history: SignInHistory;
}

/** An admitted attempt, to be settled by `succeeded`, `failed` or `withdrawn`. */
export interface SignInAttempt {
  /** The address, and those of its people whose password may be checked now. */
  readonly admitted: readonly CountedAccount[];
  readonly network: string;
}

/**
 * Delays password guessing by account and source (a network, or a device on which the person signed in before), see `decide`.
 * Counts are in PostgreSQL: they hold for all processes of auth and survive a restart. An attempt is counted before the password
 * is checked and taken back when it was right, so a burst of guesses is not admitted together.
 *
 * An e-mail address may belong to people of several tenants. The address alone decides whether an attempt is refused, so the answer
 * does not disclose how many they are. Each person is counted beside it: the password of one is not checked while their own count
 * delays it, so that knowing, or setting, the password of another person with the address gives no further guesses.
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
   * @param personIds  the people who have the address
   * @throws auth.too_many_attempts  with the time after which the source's next attempt is admitted
   */
  async begin(email: string, personIds: readonly string[], { address, device }: SignInSource): Promise<SignInAttempt> {
    const origin = `network ${networkOf(address)}`;
    const accounts = accountsOf(email, personIds, origin, device);
    const network = digest(origin);
    this.#enter(network);
    try {
      const nowMs = this.#clock.now();
      const decisions = await this.#count(accounts, network, nowMs);
      const ofAddress = decisions.find(({ account }) => account.personId === null);
      if (ofAddress?.isAdmitted !== true)
        throw new AppError('auth.too_many_attempts', { retryAfterMs: (ofAddress?.notBeforeMs ?? nowMs) - nowMs });
      return { admitted: decisions.filter(({ isAdmitted }) => isAdmitted).map(({ account }) => account), network };
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
      const own = admitted.filter((account) => account.personId === personId || account.personId === null);
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

  async #count(accounts: readonly CountedAccount[], network: string, nowMs: number): Promise<AccountDecision[]> {
    const now = new Date(nowMs);
    return this.#database.sqlTransaction(ACROSS_TENANTS, async (client) => {
      if (nowMs - this.#purgedAtMs >= PURGE_INTERVAL_MS) {
        this.#purgedAtMs = nowMs;
        await purgeAttempts(client, now, MAX_RECORDS);
      }
      const decided: AccountDecision[] = [];
      for (const account of accounts) {
        const history = await readHistory(client, account, network, now);
        decided.push({ account, history, ...decide(history, account.isKnownDevice, nowMs) });
      }
      const isRefused = decided.some(({ account, isAdmitted }) => account.personId === null && !isAdmitted);
      const counted = isRefused ? [] : decided.filter(({ isAdmitted }) => isAdmitted);
      for (const decision of decided) {
        const { account, history, isAdmitted, notBeforeMs } = decision;
        // A refused source without a record begins to wait now.
        const isWaiting = !isAdmitted && history.source === null;
        if (!isWaiting && !counted.includes(decision)) continue;
        const failures = (history.source?.failures ?? 0) + (isAdmitted ? 1 : 0);
        const expiresAt = new Date(Math.max(notBeforeMs, nowMs) + SOURCE_MEMORY_MS);
        await saveSource(client, account.source, failures, new Date(notBeforeMs), expiresAt);
      }
      if (counted.length > 0) {
        const keys = wideKeys(
          counted.map(({ account }) => account),
          network,
        );
        await countWide(client, keys, now, new Date(nowMs + WIDE_WINDOW_MS));
      }
      return decided;
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

/** The address and its people, in the order in which all attempts lock them. */
function accountsOf(email: string, personIds: readonly string[], network: string, device: KnownDevice | null): CountedAccount[] {
  const knownId = personIds.find((personId) => personId === device?.personId);
  return [null, ...personIds]
    .map((personId): CountedAccount => {
      const account = digest(personId === null ? `address ${email}` : `person ${personId}`);
      const isKnownDevice = knownId !== undefined && (personId === null || personId === knownId);
      return { personId, isKnownDevice, account, source: digest(`source ${account} ${isKnownDevice ? `device ${device?.id}` : network}`) };
    })
    .sort((one, other) => (one.source < other.source ? -1 : 1));
}

/** Accounts in their order, and the network. */
function wideKeys(accounts: readonly CountedAccount[], network: string): string[] {
  return [...accounts.map(({ account }) => account).sort(), network];
}

function digest(text: string): string {
  return hash('sha256', text, 'hex');
}
