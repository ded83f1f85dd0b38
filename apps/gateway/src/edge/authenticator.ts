import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { digestApiKey, isScope, isWellFormedApiKey, principalOfSession, verifySessionToken, type Scope, type Session } from '@weir/access';
import type { ApiKeyState } from '@weir/contracts';
import { AppError, type Clock } from '@weir/kernel';
import type { SocketCredentials } from '@weir/platform/graphql';
import { CLOCK } from '@weir/platform/service';
import { LRUCache } from 'lru-cache';
import { Projections } from '../projections/projections.ts';
import type { Caller } from './caller.ts';
import { bearerOf, credentialOf, isSameOrigin } from './credentials.ts';

const MAX_SESSIONS = 10_000;
/** A gateway has read its topics within a second or two. */
const STARTING_RETRY_MS = 1_000;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

interface KnownKey extends Caller {
  readonly expiresAtMs: number;
}

interface KnownSession extends Caller {
  readonly session: Session;
  /** The signing key that made the token: when it is withdrawn, its sessions end. */
  readonly kid: string;
}

/** What the authenticator asks of the projections. */
export type Directory = Pick<Projections, 'hasCaughtUp' | 'apiKeyByDigest' | 'tenant' | 'isSessionRevoked' | 'signingKey'>;

/**
 * Step 1 of every surface: who asks, by API key or session, from memory. Answers at once but for the first use of a
 * session token, whose signature is then checked.
 */
@Injectable()
export class Authenticator {
  readonly #directory: Directory;
  readonly #clock: Clock;
  /** What was made of a key's state; the projection replaces the state when the key changes. */
  readonly #keys = new WeakMap<ApiKeyState, KnownKey>();
  readonly #sessions = new LRUCache<string, KnownSession>({ max: MAX_SESSIONS });

  constructor(@Inject(Projections) directory: Directory, @Inject(CLOCK) clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /**
   * Who asks, or null without a credential.
   *
   * @throws service.starting, auth.invalid, auth.expired, access.tenant_suspended; access.forbidden for a cookie that another site's page sent
   */
  identify(request: IncomingMessage): Caller | null | Promise<Caller> {
    const credential = credentialOf(request);
    if (credential === null) return null;
    this.#refuseWhileStarting();
    if (credential.isCookie) {
      if (!SAFE_METHODS.has(request.method ?? '') && !isSameOrigin(request))
        throw new AppError('access.forbidden', { message: 'A session cookie works only from our own pages.' });
      return this.#bySession(credential.secret);
    }
    return this.#bySecret(credential.secret);
  }

  /** @throws auth.required without a credential, and what `identify` throws */
  require(request: IncomingMessage): Caller | Promise<Caller> {
    const caller = this.identify(request);
    if (caller === null) throw new AppError('auth.required');
    return caller;
  }

  /**
   * Who asks, by the value of an `authorization` header alone.
   *
   * @throws auth.required without one, and what `identify` throws
   */
  requireBearer(authorization: string | undefined): Caller | Promise<Caller> {
    if (authorization === undefined) throw new AppError('auth.required');
    this.#refuseWhileStarting();
    return this.#bySecret(bearerOf(authorization));
  }

  /** Who speaks on a socket: by `authorization` or `apiKey` of `connection_init`, else by the cookie of its handshake. */
  identifySocket({ params, request }: SocketCredentials): Caller | null | Promise<Caller> {
    const { authorization, apiKey } = params;
    this.#refuseWhileStarting();
    if (authorization !== undefined) {
      if (typeof authorization !== 'string') throw new AppError('auth.invalid');
      return this.#bySecret(bearerOf(authorization));
    }
    if (apiKey !== undefined) {
      if (typeof apiKey !== 'string') throw new AppError('auth.invalid');
      return this.#byApiKey(apiKey);
    }
    const credential = credentialOf(request);
    if (credential === null) return null;
    if (!credential.isCookie) return this.#bySecret(credential.secret);
    if (!isSameOrigin(request)) throw new AppError('access.forbidden', { message: 'A session cookie works only from our own pages.' });
    return this.#bySession(credential.secret);
  }

  /** Until all keys and models are known, a good key would look like a bad one, and a model like none. */
  #refuseWhileStarting(): void {
    if (!this.#directory.hasCaughtUp()) throw new AppError('service.starting', { retryAfterMs: STARTING_RETRY_MS });
  }

  #bySecret(secret: string): Caller | Promise<Caller> {
    return secret.startsWith('weir_sk_') ? this.#byApiKey(secret) : this.#bySession(secret);
  }

  #byApiKey(secret: string): Caller {
    const state = isWellFormedApiKey(secret) ? this.#directory.apiKeyByDigest(digestApiKey(secret)) : undefined;
    if (state === undefined) throw new AppError('auth.invalid');
    const key = this.#knownKey(state);
    if (this.#clock.now() >= key.expiresAtMs) throw new AppError('auth.expired');
    this.#refuseSuspended(state.tenantId);
    return key;
  }

  #knownKey(state: ApiKeyState): KnownKey {
    let key = this.#keys.get(state);
    if (key === undefined) {
      const scopes = new Set(state.scopes.filter((scope): scope is Scope => isScope(scope)));
      key = {
        principal: { kind: 'api-key', id: state.id, tenantId: state.tenantId, scopes },
        limits: state.limits,
        expiresAtMs: state.expiresAt === null ? Infinity : Date.parse(state.expiresAt),
      };
      this.#keys.set(state, key);
    }
    return key;
  }

  #bySession(token: string): Caller | Promise<Caller> {
    const known = this.#sessions.get(token);
    return known === undefined ? this.#verifySession(token) : this.#admit(known);
  }

  async #verifySession(token: string): Promise<Caller> {
    let kid = '';
    const session = await verifySessionToken(
      token,
      (name) => {
        kid = name;
        return this.#directory.signingKey(name);
      },
      this.#clock.now(),
    );
    const known: KnownSession = { principal: principalOfSession(session), limits: null, session, kid };
    this.#sessions.set(token, known);
    return this.#admit(known);
  }

  #admit(known: KnownSession): Caller {
    const { session } = known;
    if (this.#clock.now() >= session.expiresAtMs) throw new AppError('auth.expired');
    if (this.#directory.isSessionRevoked(session.id) || this.#directory.signingKey(known.kid) === undefined)
      throw new AppError('auth.invalid');
    this.#refuseSuspended(session.tenantId);
    return known;
  }

  #refuseSuspended(tenantId: string): void {
    if (this.#directory.tenant(tenantId)?.status === 'suspended') throw new AppError('access.tenant_suspended');
  }
}
