import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { signSessionToken, verifySessionToken, type Session } from './session-token.ts';

const NOW_MS = Date.parse('2026-03-14T12:00:00.000Z');
const session: Session = { id: 's1', personId: 'p1', tenantId: 't1', role: 'owner', expiresAtMs: NOW_MS + 60_000 };

let key: JWK;
let otherKey: JWK;

async function aKey(kid: string): Promise<JWK> {
  return { ...(await exportJWK((await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })).privateKey)), kid };
}

beforeAll(async () => {
  [key, otherKey] = await Promise.all([aKey('k1'), aKey('k1')]);
});

const keyOf = (kid: string): JWK | undefined => (kid === 'k1' ? { kty: key.kty, crv: key.crv, x: key.x } : undefined);

describe('a session token', () => {
  it('says who signed in, where, in which role and until when', async () => {
    expect(await verifySessionToken(await signSessionToken(session, key, NOW_MS), keyOf, NOW_MS)).toEqual(session);
  });

  it('is refused from the moment at which it expires', async () => {
    const token = await signSessionToken(session, key, NOW_MS);
    await expect(verifySessionToken(token, keyOf, session.expiresAtMs - 1_000)).resolves.toEqual(session);
    await expect(verifySessionToken(token, keyOf, session.expiresAtMs)).rejects.toMatchObject({ code: 'auth.expired' });
  });

  it('is refused when somebody else signed it, or with a key that nobody published', async () => {
    for (const jwk of [otherKey, { ...key, kid: 'k2' }]) {
      await expect(verifySessionToken(await signSessionToken(session, jwk, NOW_MS), keyOf, NOW_MS)).rejects.toMatchObject({
        code: 'auth.invalid',
      });
    }
  });

  it('is refused when it is no session: without signature, for another audience, with a role that does not exist', async () => {
    const [, payload = ''] = (await signSessionToken(session, key, NOW_MS)).split('.');
    const unsigned = `${Buffer.from('{"alg":"none","kid":"k1"}').toString('base64url')}.${payload}.`;
    const claims = { sid: 's1', ten: 't1', role: 'owner' };
    const sign = (changes: object, audience = 'weir-session'): Promise<string> =>
      new SignJWT({ ...claims, ...changes })
        .setProtectedHeader({ alg: 'EdDSA', kid: 'k1' })
        .setIssuer('weir')
        .setAudience(audience)
        .setSubject('p1')
        .setExpirationTime(NOW_MS / 1000 + 60)
        .sign(key);
    await expect(verifySessionToken(await sign({}), keyOf, NOW_MS)).resolves.toMatchObject({ id: 's1' });
    for (const token of [unsigned, await sign({}, 'gateway'), await sign({ role: 'root' }), await sign({ ten: 7 }), 'x', '']) {
      await expect(verifySessionToken(token, keyOf, NOW_MS)).rejects.toMatchObject({ code: 'auth.invalid' });
    }
  });
});
