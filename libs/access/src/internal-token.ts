import { AppError } from '@weir/kernel';
import { LRUCache } from 'lru-cache';
import { errors, importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose';
import { PLATFORM_TENANT_ID, type Principal } from './principal.ts';
import { isScope, type Scope } from './scopes.ts';

/** Life of a token between services. */
export const INTERNAL_TOKEN_LIFETIME_MS = 60_000;
/** A token is made anew when less than this is left of its life. */
const RENEW_BEFORE_MS = 20_000;
const ALGORITHM = 'EdDSA';
const CACHE_ENTRIES = 10_000;
/** The only service that people and keys speak through. A key stolen from any other cannot pose as a person, nor as an operator. */
const EDGE = 'gateway';
/** Times in tokens are whole seconds. */
const MAX_LIFETIME_SECONDS = INTERNAL_TOKEN_LIFETIME_MS / 1000;

/** Header that carries the token of a hop; the edge strips it from what comes from outside. */
export const INTERNAL_TOKEN_HEADER = 'x-weir-internal-token';
/** Header that carries the id of the request through every hop. */
export const REQUEST_ID_HEADER = 'x-request-id';

/** The private key with which one service signs, and its name. `jwk.kid` names the key. */
export interface InternalSigningKey {
  readonly service: string;
  readonly jwk: JWK;
}

/** Public keys of the services that may call; `kid` of each is `<service>.<thumbprint>`. */
export interface InternalKeySet {
  readonly keys: readonly JWK[];
}

/**
 * Makes the tokens with which this service calls others (JWT, EdDSA): issuer = this service, audience = the callee,
 * subject = the principal. Tokens are kept for a principal and callee while they live, because signing costs more
 * than everything else in a hop; so the request's id travels beside the token, in `REQUEST_ID_HEADER`.
 */
export class InternalTokenSigner {
  readonly #service: string;
  readonly #kid: string;
  readonly #key: Promise<CryptoKey | Uint8Array>;
  readonly #now: () => number;
  readonly #made = new LRUCache<string, { token: string; expiresAtMs: number }>({ max: CACHE_ENTRIES });

  constructor(signingKey: InternalSigningKey, now: () => number = Date.now) {
    this.#service = signingKey.service;
    this.#kid = signingKey.jwk.kid ?? signingKey.service;
    this.#key = importJWK(signingKey.jwk, ALGORITHM);
    this.#now = now;
  }

  /** A token for `audience` that is still valid, or null: then `sign` makes one. Spares the caller a promise in the usual case. */
  cached(principal: Principal, audience: string): string | null {
    const made = this.#made.get(cacheKey(principal, audience));
    return made !== undefined && made.expiresAtMs - this.#now() > RENEW_BEFORE_MS ? made.token : null;
  }

  async sign(principal: Principal, audience: string): Promise<string> {
    const known = this.cached(principal, audience);
    if (known !== null) return known;
    const nowSeconds = Math.floor(this.#now() / 1000);
    const token = await new SignJWT({ knd: principal.kind, ten: principal.tenantId, scp: [...principal.scopes] })
      .setProtectedHeader({ alg: ALGORITHM, kid: this.#kid })
      .setIssuer(this.#service)
      .setAudience(audience)
      .setSubject(principal.id)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + INTERNAL_TOKEN_LIFETIME_MS / 1000)
      .sign(await this.#key);
    this.#made.set(cacheKey(principal, audience), { token, expiresAtMs: this.#now() + INTERNAL_TOKEN_LIFETIME_MS });
    return token;
  }
}

function cacheKey(principal: Principal, audience: string): string {
  return `${audience}\n${principal.kind}\n${principal.tenantId}\n${principal.id}\n${[...principal.scopes].join(' ')}`;
}

export interface VerifiedInternalToken {
  /** The service that called. */
  readonly caller: string;
  readonly principal: Principal;
}

/** Checks the tokens with which other services call this one. */
export class InternalTokenVerifier {
  readonly #audience: string;
  readonly #keys: Map<string, { service: string; key: Promise<CryptoKey | Uint8Array> }>;
  readonly #now: () => number;
  readonly #verified = new LRUCache<string, { result: VerifiedInternalToken; expiresAtMs: number }>({ max: CACHE_ENTRIES });

  constructor(audience: string, keySet: InternalKeySet, now: () => number = Date.now) {
    this.#audience = audience;
    this.#now = now;
    this.#keys = new Map(
      keySet.keys.map((jwk) => {
        const kid = jwk.kid ?? '';
        return [kid, { service: kid.split('.')[0] ?? '', key: importJWK(jwk, ALGORITHM) }];
      }),
    );
  }

  /** The caller of a token that was verified before and still lives, or null: then `verify` does it in full. */
  cached(token: string): VerifiedInternalToken | null {
    const known = this.#verified.get(token);
    return known !== undefined && this.#now() < known.expiresAtMs ? known.result : null;
  }

  /**
   * @throws auth.internal_token when the token is missing, expired, made for longer than tokens live, for another service, not
   * signed by a known one, or in the name of somebody whom the caller may not speak for
   */
  async verify(token: string | undefined): Promise<VerifiedInternalToken> {
    if (token === undefined) throw new AppError('auth.internal_token');
    const known = this.cached(token);
    if (known !== null) return known;
    try {
      let signer = '';
      const { payload } = await jwtVerify(
        token,
        async (header) => {
          const entry = this.#keys.get(header.kid ?? '');
          if (entry === undefined) throw new errors.JWKSNoMatchingKey();
          signer = entry.service;
          return entry.key;
        },
        {
          algorithms: [ALGORITHM],
          audience: this.#audience,
          requiredClaims: ['iss', 'sub', 'iat', 'exp'],
          currentDate: new Date(this.#now()),
        },
      );
      if (payload.iss !== signer) throw new errors.JWTClaimValidationFailed('issuer is not the owner of the key', payload, 'iss');
      if ((payload.exp ?? Infinity) - (payload.iat ?? 0) > MAX_LIFETIME_SECONDS)
        throw new errors.JWTClaimValidationFailed('lives longer than tokens do', payload, 'exp');
      const result: VerifiedInternalToken = { caller: signer, principal: principalOf(payload) };
      if (!maySpeakFor(signer, result.principal)) throw new errors.JWTClaimValidationFailed('speaks for somebody else', payload, 'sub');
      this.#verified.set(token, { result, expiresAtMs: (payload.exp ?? 0) * 1000 });
      return result;
    } catch (error) {
      throw new AppError('auth.internal_token', { cause: error });
    }
  }
}

/** A service speaks for itself, in the tenant of the platform and without scopes; the edge speaks for everyone whom it has recognised. */
function maySpeakFor(caller: string, principal: Principal): boolean {
  if (principal.kind !== 'service') return caller === EDGE;
  return principal.id === caller && principal.tenantId === PLATFORM_TENANT_ID && principal.scopes.size === 0;
}

function principalOf(payload: Record<string, unknown>): Principal {
  const { knd, ten, scp, sub } = payload;
  if (
    (knd !== 'api-key' && knd !== 'person' && knd !== 'service') ||
    typeof ten !== 'string' ||
    typeof sub !== 'string' ||
    !Array.isArray(scp)
  ) {
    throw new TypeError('claims of an internal token are missing');
  }
  return {
    kind: knd,
    id: sub,
    tenantId: ten,
    scopes: new Set(scp.filter((scope): scope is Scope => typeof scope === 'string' && isScope(scope))),
  };
}

/** The principal of a service that acts for itself. It has no scopes: what a service may do is told by its name. */
export function servicePrincipal(service: string): Principal {
  return { kind: 'service', id: service, tenantId: PLATFORM_TENANT_ID, scopes: new Set() };
}
