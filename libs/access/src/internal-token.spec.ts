import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  INTERNAL_TOKEN_LIFETIME_MS,
  InternalTokenSigner,
  InternalTokenVerifier,
  servicePrincipal,
  type InternalKeySet,
  type InternalSigningKey,
} from './internal-token.ts';
import type { Principal } from './principal.ts';

const principal: Principal = { kind: 'person', id: 'p1', tenantId: 't1', scopes: new Set(['infer', 'usage.read']) };

let gateway: InternalSigningKey;
let worker: InternalSigningKey;
let stranger: InternalSigningKey;
let keySet: InternalKeySet;

async function aKey(service: string): Promise<InternalSigningKey> {
  const jwk = await exportJWK((await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })).privateKey);
  return { service, jwk: { ...jwk, kid: `${service}.${await calculateJwkThumbprint(jwk)}` } };
}

beforeAll(async () => {
  [gateway, worker, stranger] = await Promise.all([aKey('gateway'), aKey('worker'), aKey('gateway')]);
  keySet = { keys: [gateway, worker].map(({ jwk: { d: _secret, ...publicJwk } }) => publicJwk) };
});

describe('a token between services', () => {
  it('says who calls, and for whom', async () => {
    const token = await new InternalTokenSigner(gateway).sign(principal, 'auth');
    expect(await new InternalTokenVerifier('auth', keySet).verify(token)).toEqual({ caller: 'gateway', principal });
  });

  it('is for one service alone', async () => {
    const token = await new InternalTokenSigner(gateway).sign(principal, 'billing');
    await expect(new InternalTokenVerifier('auth', keySet).verify(token)).rejects.toMatchObject({ code: 'auth.internal_token' });
  });

  it('lives a minute, and the signer makes a new one in time', async () => {
    let nowMs = Date.parse('2026-03-14T12:00:00.000Z');
    const signer = new InternalTokenSigner(gateway, () => nowMs);
    const verifier = new InternalTokenVerifier('auth', keySet, () => nowMs);
    const token = await signer.sign(principal, 'auth');
    expect(await signer.sign(principal, 'auth')).toBe(token);
    await verifier.verify(token);
    expect(verifier.cached(token)).not.toBeNull();
    nowMs += INTERNAL_TOKEN_LIFETIME_MS - 1_000;
    expect(await signer.sign(principal, 'auth')).not.toBe(token);
    nowMs += 1_000;
    expect(verifier.cached(token)).toBeNull();
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'auth.internal_token' });
  });

  it('is not shared between principals that differ in anything', async () => {
    const signer = new InternalTokenSigner(gateway);
    const others: Principal[] = [
      { ...principal, id: 'p2' },
      { ...principal, tenantId: 't2' },
      { ...principal, kind: 'api-key' },
      { ...principal, scopes: new Set(['infer']) },
      servicePrincipal('gateway'),
    ];
    const tokens = await Promise.all([principal, ...others].map((one) => signer.sign(one, 'auth')));
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('is refused when an unknown key signed it, when it is no token, and when there is none', async () => {
    const verifier = new InternalTokenVerifier('auth', keySet);
    for (const token of [await new InternalTokenSigner(stranger).sign(principal, 'auth'), 'x', undefined]) {
      await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'auth.internal_token' });
    }
  });

  it("is refused when its issuer is not the owner of the key that signed it, even where the key's owner may speak for the principal", async () => {
    const verifier = new InternalTokenVerifier('auth', keySet);
    const asWorker: InternalSigningKey = { service: 'worker', jwk: gateway.jwk };
    await expect(verifier.verify(await new InternalTokenSigner(asWorker).sign(principal, 'auth'))).rejects.toMatchObject({
      code: 'auth.internal_token',
    });
    expect(await verifier.verify(await new InternalTokenSigner(gateway).sign(principal, 'auth'))).toMatchObject({ caller: 'gateway' });
  });

  it('that was verified shortly before its expiry is refused from its expiry on, also from the cache', async () => {
    let nowMs = Date.parse('2026-03-14T12:00:00.000Z');
    const verifier = new InternalTokenVerifier('auth', keySet, () => nowMs);
    const token = await new InternalTokenSigner(gateway, () => nowMs).sign(principal, 'auth');
    nowMs += INTERNAL_TOKEN_LIFETIME_MS - 1;
    await verifier.verify(token);
    expect(verifier.cached(token)).not.toBeNull();
    nowMs += 1;
    expect(verifier.cached(token)).toBeNull();
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'auth.internal_token' });
  });

  it('without a principal is refused, and scopes that do not exist are dropped', async () => {
    const verifier = new InternalTokenVerifier('auth', keySet);
    const sign = async (claims: object): Promise<string> =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'EdDSA', kid: gateway.jwk.kid ?? '' })
        .setIssuer('gateway')
        .setAudience('auth')
        .setSubject('p1')
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign(await importJWK(gateway.jwk, 'EdDSA'));
    await expect(verifier.verify(await sign({ knd: 'root', ten: 't1', scp: [] }))).rejects.toMatchObject({ code: 'auth.internal_token' });
    await expect(verifier.verify(await sign({ knd: 'person', scp: [] }))).rejects.toMatchObject({ code: 'auth.internal_token' });
    expect((await verifier.verify(await sign({ knd: 'person', ten: 't1', scp: ['infer', 'root'] }))).principal.scopes).toEqual(
      new Set(['infer']),
    );
  });

  it("of any service but the edge speaks for that service alone: a worker's key poses neither as an operator nor as anyone without scopes", async () => {
    const verifier = new InternalTokenVerifier('billing', keySet);
    const operator: Principal = { kind: 'person', id: 'p1', tenantId: 'platform', scopes: new Set(['operator']) };
    const own = servicePrincipal('worker');
    for (const posing of [
      operator,
      { ...operator, kind: 'api-key' as const },
      { ...operator, scopes: own.scopes },
      { ...principal, scopes: own.scopes },
      { ...own, kind: 'person' as const },
      { ...own, kind: 'api-key' as const },
      servicePrincipal('gateway'),
      { ...own, tenantId: 't1' },
      { ...own, scopes: operator.scopes },
    ])
      await expect(verifier.verify(await new InternalTokenSigner(worker).sign(posing, 'billing'))).rejects.toMatchObject({
        code: 'auth.internal_token',
      });
    await expect(verifier.verify(await new InternalTokenSigner(gateway).sign(own, 'billing'))).rejects.toMatchObject({
      code: 'auth.internal_token',
    });
    expect(await verifier.verify(await new InternalTokenSigner(worker).sign(own, 'billing'))).toEqual({ caller: 'worker', principal: own });
  });

  it('that was made to live longer than tokens do is refused, and so is another algorithm with the public key as its secret', async () => {
    const verifier = new InternalTokenVerifier('auth', keySet);
    const kid = gateway.jwk.kid ?? '';
    const claimsFor = (lifetime: string, alg: string): SignJWT =>
      new SignJWT({ knd: 'person', ten: 't1', scp: ['operator'] })
        .setProtectedHeader({ alg, kid })
        .setIssuer('gateway')
        .setAudience('auth')
        .setSubject('p1')
        .setIssuedAt()
        .setExpirationTime(lifetime);
    const key = await importJWK(gateway.jwk, 'EdDSA');
    expect(await verifier.verify(await claimsFor('1m', 'EdDSA').sign(key))).toMatchObject({ caller: 'gateway' });
    const eternal = await claimsFor('2m', 'EdDSA').sign(key);
    const confused = await claimsFor('1m', 'HS256').sign(Buffer.from(gateway.jwk.x ?? '', 'base64url'));
    const unsigned = `${Buffer.from(JSON.stringify({ alg: 'none', kid })).toString('base64url')}.${confused.split('.')[1]}.`;
    for (const token of [eternal, confused, unsigned])
      await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'auth.internal_token' });
  });
});
