import { hash } from 'node:crypto';
import { errors, importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose';

const ALGORITHM = 'EdDSA';
const ISSUER = 'weir';
/** Differs from that of session tokens: neither is accepted as the other. */
const AUDIENCE = 'weir-device';
/** Each sign-in renews the proof. */
export const DEVICE_LIFETIME_MS = 180 * 24 * 3_600_000;

/** A browser that signed in to an account before (OWASP's device cookies). It proves nothing but that. */
export interface KnownDevice {
  /** Random; the same as long as the cookie is renewed. */
  readonly id: string;
  /** `accountOf` the e-mail address that signed in. */
  readonly account: string;
}

/** Digest of an e-mail address in lower case, under which attempts are counted whether or not anyone has the address. */
export function accountOf(email: string): string {
  return hash('sha256', email, 'hex');
}

/** Name of the cookie that holds the proof for an account: a browser may hold one for each of several accounts. */
export function deviceCookieName(account: string): string {
  return `weir_device_${account.slice(0, 12)}`;
}

/** The proof (JWT, EdDSA), signed with auth's key `jwk`. */
export async function signDeviceToken(device: KnownDevice, jwk: JWK, nowMs: number): Promise<string> {
  return new SignJWT({ acc: device.account })
    .setProtectedHeader({ alg: ALGORITHM, kid: jwk.kid ?? '' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setJti(device.id)
    .setExpirationTime(Math.floor((nowMs + DEVICE_LIFETIME_MS) / 1000))
    .sign(await importJWK(jwk, ALGORITHM));
}

/** The device that a token proves, or null: then the caller is treated as a new device. */
export async function verifyDeviceToken(
  token: string,
  keyOf: (kid: string) => JWK | undefined,
  nowMs: number,
): Promise<KnownDevice | null> {
  try {
    const { payload } = await jwtVerify(
      token,
      async (header): Promise<CryptoKey | Uint8Array> => {
        const jwk = keyOf(header.kid ?? '');
        if (jwk === undefined) throw new errors.JWKSNoMatchingKey();
        return importJWK(jwk, ALGORITHM);
      },
      { algorithms: [ALGORITHM], issuer: ISSUER, audience: AUDIENCE, requiredClaims: ['exp', 'jti', 'acc'], currentDate: new Date(nowMs) },
    );
    const { jti, acc } = payload;
    return typeof jti === 'string' && typeof acc === 'string' ? { id: jti, account: acc } : null;
  } catch (error) {
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}
