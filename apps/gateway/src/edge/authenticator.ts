import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import {
  API_KEY_SCOPES,
  digestApiKey,
  isWellFormedApiKey,
  PLATFORM_TENANT_ID,
  principalOfSession,
  verifySessionToken,
  type Scope,
  type Session,
} from '@weir/access';
import type { ApiKeyState } from '@weir/contracts';
import { AppError, type Clock } from '@weir/kernel';
import type { SocketCredentials } from '@weir/platform/graphql';
import { CLOCK, LOGGER } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import { LRUCache } from 'lru-cache';
import { Projections } from '../projections/projections.ts';
import type { Caller } from './caller.ts';
import { ClientAddresses } from './client-addresses.ts';
import { bearerOf, credentialOf, isSameOrigin } from './credentials.ts';
import { NewKeyWaits } from './new-key-waits.ts';

const MAX_SESSIONS = 10_000;
/** A gateway has read its topics within a second or two. */
const STARTING_RETRY_MS = 1_000;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Scopes that the record of a key can grant, whichever service wrote it: never those of an operator. */
const GRANTED_TO_KEYS: ReadonlySet<string> = new Set(API_KEY_SCOPES);

interface KnownKey extends Caller {
  readonly expiresAtMs: number;
}

interface KnownSession extends Caller {
  readonly session: Session;
  /** The signing key that made the token: when it is withdrawn, its sessions end. */
  readonly kid: string;
}

/** What the authenticator asks of the projections. */
export type Directory = Pick<Projections, 'hasCaughtUp' | 'apiKeyByDigest' | 'whenApiKey' | 'tenant' | 'isSessionRevoked' | 'signingKey'>;

/**
 * Step 1 of every surface: who asks, by API key or session, from memory. Answers at once but for the first use of a
 * session token, whose signature is then checked, and of a key whose record has not arrived yet.
 */
@Injectable()
export class Authenticator {
  readonly #directory: Directory;
  readonly #addresses: Pick<ClientAddresses, 'networkOf'>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #newKeys: NewKeyWaits;
  /** Keys parsed from their state, null where it is ignored; the projection replaces the state when the key changes. */
  readonly #keys = new WeakMap<ApiKeyState, KnownKey | null>();
  readonly #sessions = new LRUCache<string, KnownSession>({ max: MAX_SESSIONS });

  constructor(
    @Inject(Projections) directory: Directory,
    @Inject(ClientAddresses) addresses: Pick<ClientAddresses, 'networkOf'>,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.#directory = directory;
    this.#addresses = addresses;
    this.#clock = clock;
    this.#logger = logger;
    this.#newKeys = new NewKeyWaits(directory, clock);
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
    return this.#bySecret(credential.secret, request);
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
    return this.#bySecret(bearerOf(authorization), null);
  }

  /** Who speaks on a socket: by `authorization` or `apiKey` of `connection_init`, else by the cookie of its handshake. */
  identifySocket({ params, request }: SocketCredentials): Caller | null | Promise<Caller> {
    const { authorization, apiKey } = params;
    this.#refuseWhileStarting();
    if (authorization !== undefined) {
      if (typeof authorization !== 'string') throw new AppError('auth.invalid');
      return this.#bySecret(bearerOf(authorization), request);
    }
    if (apiKey !== undefined) {
      if (typeof apiKey !== 'string') throw new AppError('auth.invalid');
      return this.#byApiKey(apiKey, request);
    }
    const credential = credentialOf(request);
    if (credential === null) return null;
    if (!credential.isCookie) return this.#bySecret(credential.secret, request);
    if (!isSameOrigin(request)) throw new AppError('access.forbidden', { message: 'A session cookie works only from our own pages.' });
    return this.#bySession(credential.secret);
  }

  /** Until all keys and models are known, a good key would look like a bad one, and a model like none. */
  #refuseWhileStarting(): void {
    if (!this.#directory.hasCaughtUp()) throw new AppError('service.starting', { retryAfterMs: STARTING_RETRY_MS });
  }

  #bySecret(secret: string, request: IncomingMessage | null): Caller | Promise<Caller> {
    return secret.startsWith('weir_sk_') ? this.#byApiKey(secret, request) : this.#bySession(secret);
  }

  #byApiKey(secret: string, request: IncomingMessage | null): Caller | Promise<Caller> {
    if (!isWellFormedApiKey(secret)) throw new AppError('auth.invalid');
    const digest = digestApiKey(secret);
    const state = this.#directory.apiKeyByDigest(digest);
    return state === undefined ? this.#byNewKey(digest, request) : this.#admitKey(state);
  }

  /** @param request null where its address is not known (gRPC): such requests share one bound */
  async #byNewKey(digest: string, request: IncomingMessage | null): Promise<Caller> {
    const state = await this.#newKeys.wait(digest, request === null ? '' : this.#addresses.networkOf(request));
    if (state === undefined) throw new AppError('auth.invalid');
    return this.#admitKey(state);
  }

  #admitKey(state: ApiKeyState): Caller {
    const key = this.#knownKey(state);
    if (key === null) throw new AppError('auth.invalid');
    if (this.#clock.now() >= key.expiresAtMs) throw new AppError('auth.expired');
    this.#refuseSuspended(state.tenantId);
    return key;
  }

  /** The key of a record; null for one of the platform's own tenant, whose people have sessions and no keys. */
  #knownKey(state: ApiKeyState): KnownKey | null {
    let key = this.#keys.get(state);
    if (key === undefined) {
      const scopes = new Set(state.scopes.filter((scope): scope is Scope => GRANTED_TO_KEYS.has(scope)));
      const isIgnored = state.tenantId === PLATFORM_TENANT_ID;
      if (isIgnored || scopes.size < new Set(state.scopes).size)
        this.#logger.warn({ keyId: state.id, tenantId: state.tenantId }, 'the record of an API key grants what no key can have: ignored');
      key = isIgnored
        ? null
        : {
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
