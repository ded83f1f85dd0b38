import type { IncomingMessage } from 'node:http';
import { issueApiKey, signSessionToken, type Role } from '@weir/access';
import type { ApiKeyState, TenantState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { TestClock } from '@weir/testing';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { Authenticator } from './authenticator.ts';
import type { Caller } from './caller.ts';

const NOW = '2026-03-01T00:00:00.000Z';
let clock: TestClock;
let keys: Map<string, ApiKeyState>;
let tenants: Map<string, TenantState>;
let revoked: Set<string>;
let signing: JWK;
let isSigningKeyKnown: boolean;
let hasCaughtUp: boolean;
let authenticator: Authenticator;

beforeEach(async () => {
  clock = new TestClock(NOW);
  keys = new Map();
  tenants = new Map([['acme', { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'active' }]]);
  revoked = new Set();
  signing = { ...(await exportJWK((await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })).privateKey)), kid: 'kid1' };
  isSigningKeyKnown = true;
  hasCaughtUp = true;
  authenticator = new Authenticator(
    {
      hasCaughtUp: () => hasCaughtUp,
      apiKeyByDigest: (digest) => keys.get(digest),
      tenant: (id) => tenants.get(id),
      isSessionRevoked: (id) => revoked.has(id),
      signingKey: (kid) => (kid === 'kid1' && isSigningKeyKnown ? { kty: 'OKP', crv: 'Ed25519', x: signing.x ?? '' } : undefined),
    },
    clock,
  );
});

function anIssuedKey(options: Partial<ApiKeyState> = {}): { secret: string; digest: string } {
  const { id, secret, digest } = issueApiKey();
  keys.set(digest, {
    id,
    tenantId: 'acme',
    digest,
    name: 'k',
    scopes: ['infer', 'unknown.scope'],
    limits: { requestsPerMinute: 5, maxInFlight: null },
    expiresAt: null,
    ...options,
  });
  return { secret, digest };
}

async function aSession(options: { role?: Role; expiresAtMs?: number; id?: string } = {}): Promise<string> {
  const session = {
    id: options.id ?? 's1',
    personId: 'ann',
    tenantId: 'acme',
    role: options.role ?? ('owner' as const),
    expiresAtMs: options.expiresAtMs ?? clock.now() + 60_000,
  };
  return signSessionToken(session, signing, clock.now());
}

const asking = (headers: Record<string, string>, method = 'POST'): IncomingMessage =>
  ({ headers: { host: 'weir.example', ...headers }, method }) as Partial<IncomingMessage> as IncomingMessage;
const bearer = (secret: string): IncomingMessage => asking({ authorization: `Bearer ${secret}` });

async function codeOf(ask: () => Caller | null | Promise<Caller>): Promise<string> {
  try {
    await ask();
    return 'accepted';
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

describe('an API key', () => {
  test('is recognised at once, with its scopes and limits', () => {
    const caller = authenticator.identify(bearer(anIssuedKey().secret));
    expect(caller).toMatchObject({
      principal: { kind: 'api-key', tenantId: 'acme', scopes: new Set(['infer']) },
      limits: { requestsPerMinute: 5 },
    });
  });

  test('is neither known nor unknown while the gateway is still reading its topics: the caller is told to come again', async () => {
    const { secret } = anIssuedKey();
    hasCaughtUp = false;
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('service.starting');
    hasCaughtUp = true;
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('accepted');
  });

  test('is refused when it is unknown, revoked, mistyped, expired or its tenant is suspended', async () => {
    const { secret, digest } = anIssuedKey();
    expect(await codeOf(() => authenticator.identify(bearer(issueApiKey().secret)))).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer(`${secret.slice(0, -1)}~`)))).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer('weir_sk_short')))).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('accepted');
    tenants.set('acme', { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'suspended' });
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('access.tenant_suspended');
    tenants.delete('acme');
    keys.delete(digest);
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('auth.invalid');
    const brief = anIssuedKey({ expiresAt: '2026-03-01T00:00:01.000Z' });
    expect(await codeOf(() => authenticator.identify(bearer(brief.secret)))).toBe('accepted');
    clock.advance(1_000);
    expect(await codeOf(() => authenticator.identify(bearer(brief.secret)))).toBe('auth.expired');
  });

  test('changes with its next state', () => {
    const { secret, digest } = anIssuedKey();
    const before = keys.get(digest);
    void authenticator.identify(bearer(secret));
    if (before !== undefined) keys.set(digest, { ...before, scopes: ['models.read'] });
    expect(authenticator.identify(bearer(secret))).toMatchObject({ principal: { scopes: new Set(['models.read']) } });
  });
});

describe('a session', () => {
  test('is recognised by header and cookie; after its first use at once', async () => {
    const token = await aSession({ role: 'member' });
    expect(await authenticator.identify(bearer(token))).toMatchObject({
      principal: { kind: 'person', id: 'ann', tenantId: 'acme' },
      limits: null,
    });
    expect(authenticator.identify(asking({ cookie: `a=b; weir_session=${token}`, 'sec-fetch-site': 'same-origin' }))).toMatchObject({
      principal: { id: 'ann' },
    });
  });

  test('is refused when it is forged, expired, revoked or its signing key is withdrawn, also when it was known', async () => {
    const forged = `${(await aSession()).slice(0, -10)}AAAAAAAAAA`;
    expect(await codeOf(() => authenticator.identify(bearer(forged)))).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer('nonsense')))).toBe('auth.invalid');
    const token = await aSession({ id: 's2' });
    expect(await codeOf(() => authenticator.identify(bearer(token)))).toBe('accepted');
    revoked.add('s2');
    expect(await codeOf(() => authenticator.identify(bearer(token)))).toBe('auth.invalid');
    revoked.clear();
    isSigningKeyKnown = false;
    expect(await codeOf(() => authenticator.identify(bearer(token)))).toBe('auth.invalid');
    isSigningKeyKnown = true;
    clock.advance(60_000);
    expect(await codeOf(() => authenticator.identify(bearer(token)))).toBe('auth.expired');
  });

  test('in a cookie does nothing for the page of another site', async () => {
    const cookie = `weir_session=${await aSession()}`;
    const outcome = (headers: Record<string, string>, method = 'POST'): Promise<string> =>
      codeOf(() => authenticator.identify(asking({ cookie, ...headers }, method)));
    expect(await outcome({ 'sec-fetch-site': 'cross-site' })).toBe('access.forbidden');
    expect(await outcome({ 'sec-fetch-site': 'same-site' })).toBe('access.forbidden');
    expect(await outcome({ origin: 'https://evil.example' })).toBe('access.forbidden');
    expect(await outcome({ origin: 'null' })).toBe('access.forbidden');
    expect(await outcome({ origin: 'http://weir.example' })).toBe('accepted');
    expect(await outcome({})).toBe('accepted');
    expect(await outcome({ 'sec-fetch-site': 'cross-site' }, 'GET')).toBe('accepted');
    expect(
      await codeOf(() => authenticator.identifySocket({ params: {}, request: asking({ cookie, origin: 'https://evil.example' }, 'GET') })),
    ).toBe('access.forbidden');
  });
});

test('without a credential nobody asks, and where somebody must, the answer is auth.required', async () => {
  expect(authenticator.identify(asking({}))).toBeNull();
  expect(await codeOf(() => authenticator.require(asking({})))).toBe('auth.required');
  expect(await codeOf(() => authenticator.identify(asking({ authorization: 'Basic YTpi' })))).toBe('auth.invalid');
});

test('a socket is recognised by authorization or apiKey of connection_init', async () => {
  const { secret } = anIssuedKey();
  const request = asking({}, 'GET');
  expect(authenticator.identifySocket({ params: { apiKey: secret }, request })).toMatchObject({ principal: { tenantId: 'acme' } });
  expect(authenticator.identifySocket({ params: { authorization: `Bearer ${secret}` }, request })).toMatchObject({
    principal: { tenantId: 'acme' },
  });
  expect(authenticator.identifySocket({ params: {}, request })).toBeNull();
  for (const params of [{ apiKey: 5 }, { authorization: {} }, { apiKey: 'weir_sk_x' }])
    expect(await codeOf(() => authenticator.identifySocket({ params, request }))).toBe('auth.invalid');
});
