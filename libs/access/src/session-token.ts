import { AppError } from '@weir/kernel';
import { errors, importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose';
import type { Principal } from './principal.ts';
import { ROLES, SCOPES_OF_ROLE, type Role } from './scopes.ts';

const ALGORITHM = 'EdDSA';
const ISSUER = 'weir';
const AUDIENCE = 'weir-session';

/** Cookie in which a browser keeps the session token. */
export const SESSION_COOKIE = 'weir_session';

/** What a session token says: a person, in a tenant, in a role, until a moment. */
export interface Session {
  readonly id: string;
  readonly personId: string;
  readonly tenantId: string;
  readonly role: Role;
  readonly expiresAtMs: number;
}

/** A session token (JWT, EdDSA), signed with auth's key `jwk` (its `kid` names it on `auth.signing-keys`). */
export async function signSessionToken(session: Session, jwk: JWK, nowMs: number): Promise<string> {
  return new SignJWT({ sid: session.id, ten: session.tenantId, role: session.role })
    .setProtectedHeader({ alg: ALGORITHM, kid: jwk.kid ?? '' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(session.personId)
    .setIssuedAt(Math.floor(nowMs / 1000))
    .setExpirationTime(Math.floor(session.expiresAtMs / 1000))
    .sign(await importJWK(jwk, ALGORITHM));
}

/**
 * Checks a session token against auth's public keys. Whether the session was revoked is the caller's to ask.
 *
 * @throws auth.expired the token's time is over
 * @throws auth.invalid anything else is wrong with it
 */
export async function verifySessionToken(token: string, keyOf: (kid: string) => JWK | undefined, nowMs: number): Promise<Session> {
  try {
    const { payload } = await jwtVerify(
      token,
      async (header): Promise<CryptoKey | Uint8Array> => {
        const jwk = keyOf(header.kid ?? '');
        if (jwk === undefined) throw new errors.JWKSNoMatchingKey();
        return importJWK(jwk, ALGORITHM);
      },
      { algorithms: [ALGORITHM], issuer: ISSUER, audience: AUDIENCE, requiredClaims: ['sub', 'exp', 'sid'], currentDate: new Date(nowMs) },
    );
    const { sid, ten, role, sub, exp } = payload;
    if (typeof sid !== 'string' || typeof ten !== 'string' || typeof role !== 'string' || !isRole(role))
      throw new TypeError('claims of a session token are missing');
    return { id: sid, personId: sub ?? '', tenantId: ten, role, expiresAtMs: (exp ?? 0) * 1000 };
  } catch (error) {
    throw new AppError(error instanceof errors.JWTExpired ? 'auth.expired' : 'auth.invalid', { cause: error });
  }
}

function isRole(value: string): value is Role {
  return (ROLES as readonly string[]).includes(value);
}

export function principalOfSession(session: Session): Principal {
  return { kind: 'person', id: session.personId, tenantId: session.tenantId, scopes: new Set(SCOPES_OF_ROLE[session.role]) };
}
