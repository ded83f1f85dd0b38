import { hash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import { asUnavailable, Database } from '@weir/platform/database';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import type { AuthDatabase } from '../auth-database.ts';

const WINDOW_SECONDS = 15 * 60;
/** Guesses at one person's password: 960 a day at most, against 12 characters. */
export const ATTEMPTS_PER_EMAIL = 10;
/** An office behind one address may mistype more often; somebody who tries one password on many people may not. */
export const ATTEMPTS_PER_ADDRESS = 50;

/**
 * Slows down guessing, for each e-mail address and for each network address. Counts are in PostgreSQL, so that they hold
 * for all processes of auth and outlive a restart; e-mail addresses stand there as digests. An attempt is counted before
 * the password is checked, and taken back when it was right: a burst of guesses cannot slip through together.
 */
@Injectable()
export class SignInThrottle {
  readonly #byEmail: RateLimiterPostgres;
  readonly #byAddress: RateLimiterPostgres;

  constructor(@Inject(Database) database: AuthDatabase) {
    const shared = {
      storeClient: database.sql,
      storeType: 'pool',
      tableName: 'sign_in_attempts',
      schemaName: database.schema,
      tableCreated: true,
      clearExpiredByTimeout: true,
      duration: WINDOW_SECONDS,
    };
    this.#byEmail = new RateLimiterPostgres({ ...shared, keyPrefix: 'email', points: ATTEMPTS_PER_EMAIL });
    this.#byAddress = new RateLimiterPostgres({ ...shared, keyPrefix: 'address', points: ATTEMPTS_PER_ADDRESS });
  }

  /**
   * Counts an attempt.
   *
   * @throws auth.too_many_attempts  with the time after which another makes sense
   */
  async begin(email: string, address: string): Promise<void> {
    try {
      await Promise.all([this.#byEmail.consume(digest(email)), this.#byAddress.consume(networkOf(address))]);
    } catch (thrown) {
      if (thrown instanceof RateLimiterRes) throw new AppError('auth.too_many_attempts', { retryAfterMs: thrown.msBeforeNext });
      throw asUnavailable(thrown);
    }
  }

  /** The password was right: forgets the failures of this person, and counts nothing against the network address. */
  async succeeded(email: string, address: string): Promise<void> {
    try {
      await Promise.all([this.#byEmail.delete(digest(email)), this.#byAddress.reward(networkOf(address))]);
    } catch (thrown) {
      throw asUnavailable(thrown);
    }
  }
}

function digest(email: string): string {
  return hash('sha256', email, 'hex');
}

/** An IPv6 host has a whole /64 to choose from, so that network counts as one. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length);
  const all = [
    ...groups,
    ...Array.from({ length: Math.max(0, missing) }, () => '0'),
    ...(tail === undefined || tail === '' ? [] : tail.split(':')),
  ];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
