import { hash } from 'node:crypto';
import { errors, importJWK, jwtVerify, SignJWT, type CryptoKey, type JWK } from 'jose';

const ALGORITHM = 'EdDSA';
const ISSUER = 'weir';
/** Differs from that of session tokens: neither is accepted as the other. */
const AUDIENCE = 'weir-device';
/** Each sign-in renews the proof. */
export const DEVICE_LIFETIME_MS = 180 * 24 * 3_600_000;

/** A browser on which a person signed in before (OWASP's device cookies). It proves nothing but that. */
export interface KnownDevice {
  /** Random; the same as long as the cookie is renewed. */
  readonly id: string;
  /**
   * The person who signed in. Not the e-mail address: a tenant that adds an address which somebody of another tenant has gets no
   * proof for that person.
   */
  readonly personId: string;
}

/** Name of the cookie that holds the proof for an e-mail address in lower case: a browser may hold one for each of several. */
export function deviceCookieName(email: string): string {
  return `weir_device_${hash('sha256', email, 'hex').slice(0, 12)}`;
}

/** The proof (JWT, EdDSA), signed with auth's key `jwk`. */
export async function signDeviceToken(device: KnownDevice, jwk: JWK, nowMs: number): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: ALGORITHM, kid: jwk.kid ?? '' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(device.personId)
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
      { algorithms: [ALGORITHM], issuer: ISSUER, audience: AUDIENCE, requiredClaims: ['exp', 'jti', 'sub'], currentDate: new Date(nowMs) },
    );
    const { jti, sub } = payload;
    return typeof jti === 'string' && typeof sub === 'string' ? { id: jti, personId: sub } : null;
  } catch (error) {
    if (error instanceof errors.JOSEError) return null;
    throw error;
  }
}
