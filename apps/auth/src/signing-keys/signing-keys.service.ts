import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { signSessionToken, verifySessionToken, type Session } from '@weir/access';
import { signingKeyChanged } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import { CLOCK } from '@weir/platform/service';
import type { JWK } from 'jose';
import type { AuthDatabase, AuthTransaction } from '../auth-database.ts';
import { jwksEntry, newSigningKey, signingKeyOf, type SigningKey } from './signing-key.ts';

/** Signs and checks session tokens. The key pair is made at the first start and kept in a table that only auth's role can read. */
@Injectable()
export class SigningKeysService implements OnModuleInit {
  readonly #database: AuthDatabase;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  /** Newest first. */
  #keys: readonly SigningKey[] = [];

  constructor(@Inject(Database) database: AuthDatabase, @Inject(Outbox) outbox: Outbox, @Inject(CLOCK) clock: Clock) {
    this.#database = database;
    this.#outbox = outbox;
    this.#clock = clock;
  }

  /** Processes of auth that start together agree on one key. */
  async onModuleInit(): Promise<void> {
    this.#keys = await this.#database.transaction(ACROSS_TENANTS, async (tx) => {
      await tx.$queryRaw`select pg_advisory_xact_lock(hashtextextended('weir.signing-keys', 0)) is null as locked`;
      const rows = await tx.signingKeyRow.findMany({ orderBy: { createdAt: 'desc' }, select: { privateJwk: true } });
      return rows.length > 0 ? Promise.all(rows.map((row) => signingKeyOf(row.privateJwk))) : [await this.#make(tx)];
    });
  }

  sign(session: Session): Promise<string> {
    return signSessionToken(session, this.privateJwk(), this.#clock.now());
  }

  /** The key that signs now, with its `kid`. It never leaves auth. */
  privateJwk(): JWK {
    const [key] = this.#keys;
    if (key === undefined) throw new Error('there is no signing key before the service has started');
    return { ...key.privateJwk, kid: key.id };
  }

  /** The public key of a `kid`. */
  publicJwkOf(kid: string): JWK | undefined {
    return this.#keys.find((key) => key.id === kid)?.publicJwk;
  }

  /**
   * Checks a session token's signature and times; whether the session was revoked is the caller's to ask.
   *
   * @throws auth.expired
   * @throws auth.invalid
   */
  verify(token: string): Promise<Session> {
    return verifySessionToken(token, (kid) => this.publicJwkOf(kid), this.#clock.now());
  }

  /** The public keys, for whoever checks tokens. */
  jwks(): { readonly keys: readonly JWK[] } {
    return { keys: this.#keys.map(jwksEntry) };
  }

  async #make(tx: AuthTransaction): Promise<SigningKey> {
    const key = await newSigningKey();
    await tx.signingKeyRow.create({ data: { ...key, createdAt: new Date(this.#clock.now()) } });
    await this.#outbox.publish(tx, signingKeyChanged, { id: key.id, jwk: key.publicJwk }, { tenant: null });
    return key;
  }
}
