import { setTimeout } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { sessionRevoked } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import { CLOCK, IDS, SETTINGS } from '@weir/platform/service';
import type { AuthDatabase, AuthTransaction } from '../auth-database.ts';
import { Passwords } from '../people/passwords.ts';
import { findForSignIn, findPerson, type SignInCandidate } from '../people/people.store.ts';
import type { Person } from '../people/person.ts';
import type { AuthSettings } from '../settings.ts';
import { SigningKeysService } from '../signing-keys/signing-keys.service.ts';
import { findTenant, holdTenant } from '../tenants/tenants.store.ts';
import { isLive, type SessionRecord, type SignedIn, type SignIn } from './session.ts';
import { findSession, insertSession, markRevoked, takeExpired } from './sessions.store.ts';
import { SignInThrottle, type SignInAttempt, type SignInSource } from './sign-in-throttle.ts';

const HOUR_MS = 3_600_000;
/** Tenants that an address is searched in without the name of one: bounds the password hashes of a sign-in. */
const MAX_CANDIDATES = 4;
/** Shortest time of a sign-in: hides how many tenants have the address, each of which costs a hash (some 30 ms, side by side). */
const CHECK_MIN_MS = 100;

/** Sign-in with a password, and the sessions that come of it. */
@Injectable()
export class SessionsService {
  readonly #database: AuthDatabase;
  readonly #outbox: Outbox;
  readonly #passwords: Passwords;
  readonly #signingKeys: SigningKeysService;
  readonly #throttle: SignInThrottle;
  readonly #settings: AuthSettings;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(
    @Inject(Database) database: AuthDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(Passwords) passwords: Passwords,
    @Inject(SigningKeysService) signingKeys: SigningKeysService,
    @Inject(SignInThrottle) throttle: SignInThrottle,
    @Inject(SETTINGS) settings: AuthSettings,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#passwords = passwords;
    this.#signingKeys = signingKeys;
    this.#throttle = throttle;
    this.#settings = settings;
    this.#clock = clock;
    this.#ids = ids;
  }

  /**
   * Who has this e-mail address and this password. Whether there is such an address cannot be told from the answer or its time.
   *
   * @throws auth.too_many_attempts  with the time after which this source is admitted
   * @throws auth.sign_in_failed
   * @throws access.tenant_suspended
   */
  async authenticate(input: SignIn, source: SignInSource): Promise<Person> {
    const earliestAnswer = setTimeout(CHECK_MIN_MS);
    try {
      return await this.#checked(input, source);
    } finally {
      await earliestAnswer;
    }
  }

  /**
   * Opens a session for a person who has proven who they are.
   *
   * @throws auth.sign_in_failed  they were removed meanwhile
   * @throws access.tenant_suspended
   */
  async open(person: Person): Promise<SignedIn & { readonly token: string }> {
    const createdAt = new Date(this.#clock.now());
    const session: SessionRecord = {
      id: this.#ids.next(),
      tenantId: person.tenantId,
      personId: person.id,
      createdAt,
      expiresAt: new Date(createdAt.getTime() + this.#settings.sessionHours * HOUR_MS),
      revokedAt: null,
    };
    const tenant = await this.#database.transaction(person.tenantId, async (tx) => {
      const found = await findTenant(tx, person.tenantId);
      if (found.status === 'suspended') throw new AppError('access.tenant_suspended');
      await holdTenant(tx, person.tenantId);
      if ((await findPerson(tx, person.tenantId, person.id)) === null) throw new AppError('auth.sign_in_failed');
      await this.#forgetExpired(tx, person, createdAt);
      await insertSession(tx, session);
      return found;
    });
    const token = await this.#signingKeys.sign({
      id: session.id,
      personId: person.id,
      tenantId: person.tenantId,
      role: person.role,
      expiresAtMs: session.expiresAt.getTime(),
    });
    return { token, expiresAt: session.expiresAt, tenant, person };
  }

  /**
   * Who is signed in with this token.
   *
   * @throws auth.expired
   * @throws auth.invalid  the token is not ours, or the session was ended
   */
  async current(token: string): Promise<SignedIn> {
    const proven = await this.#signingKeys.verify(token);
    return this.#database.transaction(proven.tenantId, async (tx) => {
      const session = await findSession(tx, proven.tenantId, proven.id);
      const person =
        session === null || !isLive(session, new Date(this.#clock.now())) ? null : await findPerson(tx, session.tenantId, session.personId);
      if (session === null || person === null) throw new AppError('auth.invalid', { message: 'The session has ended.' });
      return { expiresAt: session.expiresAt, tenant: await findTenant(tx, session.tenantId), person };
    });
  }

  /**
   * Ends the session of this token, here at once and at the gateway as soon as the event arrives. Again: changes nothing.
   *
   * @throws auth.expired  it has ended by itself
   * @throws auth.invalid  the token is not ours
   */
  async signOut(token: string): Promise<void> {
    const { id, tenantId, expiresAtMs } = await this.#signingKeys.verify(token);
    await this.#database.transaction(tenantId, async (tx) => {
      if (!(await markRevoked(tx, tenantId, id, new Date(this.#clock.now())))) return;
      await this.#outbox.publish(tx, sessionRevoked, { id, expiresAt: new Date(expiresAtMs).toISOString() }, { tenant: tenantId });
    });
  }

  async #checked(input: SignIn, source: SignInSource): Promise<Person> {
    const found = await this.#database.transaction(ACROSS_TENANTS, (tx) => findForSignIn(tx, input.email, input.tenant, MAX_CANDIDATES));
    const attempt = await this.#throttle.begin(
      input.email,
      found.map(({ person }) => person.id),
      source,
    );
    const right = await this.#oneOf(found, attempt, input.password).catch(async (error: unknown) => {
      // Where the attempt cannot be taken back either, it stays counted: the caller reads the first error.
      await this.#throttle.withdrawn(attempt).catch(() => undefined);
      throw error;
    });
    if (right === null) {
      this.#throttle.failed(attempt);
      throw new AppError('auth.sign_in_failed');
    }
    await this.#throttle.succeeded(attempt, right.id);
    return right;
  }

  /** The oldest of the people whose password may be checked and is this one, or null. Costs one hash for each, and for none. */
  async #oneOf(found: readonly SignInCandidate[], { admitted }: SignInAttempt, password: string): Promise<Person | null> {
    const hashes = found.map(({ person, passwordHash }) => (admitted.some(({ personId }) => personId === person.id) ? passwordHash : null));
    const areRight = await Promise.all((hashes.length === 0 ? [null] : hashes).map((hash) => this.#passwords.verify(password, hash)));
    return found.find((_, index) => areRight[index])?.person ?? null;
  }

  /** An expired token is refused by its own time, so its row and its revocation are no longer needed. */
  async #forgetExpired(tx: AuthTransaction, person: Person, now: Date): Promise<void> {
    for (const session of await takeExpired(tx, person, now)) {
      if (session.revokedAt !== null) await this.#outbox.remove(tx, sessionRevoked, session.id, { tenant: person.tenantId });
    }
  }
}
