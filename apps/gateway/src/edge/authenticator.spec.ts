import type { IncomingMessage } from 'node:http';
import { API_KEY_SCOPES, issueApiKey, SCOPES, signSessionToken, type Role } from '@weir/access';
import type { ApiKeyState, TenantState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { createLogger } from '@weir/platform/telemetry';
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
/** Ends the wait for a key's record, by its digest. */
let awaited: Map<string, (state?: ApiKeyState) => void>;
/** Digests of keys that were waited for. */
let waits: string[];
let authenticator: Authenticator;

beforeEach(async () => {
  clock = new TestClock(NOW);
  keys = new Map();
  tenants = new Map([['acme', { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'active' }]]);
  revoked = new Set();
  signing = { ...(await exportJWK((await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })).privateKey)), kid: 'kid1' };
  isSigningKeyKnown = true;
  hasCaughtUp = true;
  awaited = new Map();
  waits = [];
  authenticator = new Authenticator(
    {
      hasCaughtUp: () => hasCaughtUp,
      apiKeyByDigest: (digest) => keys.get(digest),
      whenApiKey: (digest) => {
        waits.push(digest);
        return new Promise((resolve) => awaited.set(digest, resolve));
      },
      tenant: (id) => tenants.get(id),
      isSessionRevoked: (id) => revoked.has(id),
      signingKey: (kid) => (kid === 'kid1' && isSigningKeyKnown ? { kty: 'OKP', crv: 'Ed25519', x: signing.x ?? '' } : undefined),
    },
    { networkOf: ({ socket }: Partial<IncomingMessage>) => socket?.remoteAddress ?? '' },
    clock,
    createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' }),
  );
});

/** The time of every wait for a record is up. */
function noRecordArrives(): void {
  for (const resolve of awaited.values()) resolve();
}

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
    const unknown = codeOf(() => authenticator.identify(bearer(issueApiKey().secret)));
    noRecordArrives();
    expect(await unknown).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer(`${secret.slice(0, -1)}~`)))).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer('weir_sk_short')))).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('accepted');
    tenants.set('acme', { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'suspended' });
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('access.tenant_suspended');
    tenants.delete('acme');
    keys.delete(digest);
    const revokedKey = codeOf(() => authenticator.identify(bearer(secret)));
    noRecordArrives();
    expect(await revokedKey).toBe('auth.invalid');
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

describe('the record of an API key', () => {
  test('grants no scope that keys cannot have, whatever the record says', async () => {
    const { secret } = anIssuedKey({ scopes: [...SCOPES] });
    expect(await authenticator.identify(bearer(secret))).toMatchObject({ principal: { scopes: new Set(API_KEY_SCOPES) } });
  });

  test('that names the tenant of the platform makes no caller', async () => {
    const { secret } = anIssuedKey({ tenantId: 'platform', scopes: ['infer', 'operator'] });
    for (let time = 0; time < 2; time++) expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('auth.invalid');
  });
});

describe('an API key that was created a moment ago', () => {
  const from = (address: string, secret: string): IncomingMessage =>
    ({ headers: bearer(secret).headers, socket: { remoteAddress: address } }) as Partial<IncomingMessage> as IncomingMessage;

  test('is recognised when its record arrives while its first request waits', async () => {
    const { secret, digest } = anIssuedKey();
    const state = keys.get(digest);
    keys.delete(digest);
    const outcome = authenticator.identify(bearer(secret));
    awaited.get(digest)?.(state);
    expect(await outcome).toMatchObject({ principal: { tenantId: 'acme' } });
  });

  test('is not waited for when its checksum is wrong', async () => {
    const { secret } = issueApiKey();
    expect(await codeOf(() => authenticator.identify(bearer(secret.replace(/.$/, (last) => (last === '0' ? '1' : '0')))))).toBe(
      'auth.invalid',
    );
    expect(waits).toEqual([]);
  });

  test('is waited for once when there is none such, then refused at once for 10 seconds, unless its record arrives', async () => {
    const { secret, digest } = anIssuedKey();
    const state = keys.get(digest);
    keys.delete(digest);
    const first = codeOf(() => authenticator.identify(bearer(secret)));
    noRecordArrives();
    expect(await first).toBe('auth.invalid');
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('auth.invalid');
    expect(waits).toHaveLength(1);
    if (state !== undefined) keys.set(digest, state);
    expect(await codeOf(() => authenticator.identify(bearer(secret)))).toBe('accepted');
    keys.delete(digest);
    clock.advance(10_001);
    const later = codeOf(() => authenticator.identify(bearer(secret)));
    noRecordArrives();
    expect(await later).toBe('auth.invalid');
    expect(waits).toHaveLength(2);
  });

  test('waits for eight requests of one address at most, and for 256 in all: made-up keys hold no more', async () => {
    const outcomes: Promise<string>[] = [];
    const ask = (address: string): void => void outcomes.push(codeOf(() => authenticator.identify(from(address, issueApiKey().secret))));
    for (let time = 0; time < 20; time++) ask('192.0.2.1');
    expect(waits).toHaveLength(8);
    ask('192.0.2.2');
    expect(waits).toHaveLength(9);
    for (let address = 0; address < 300; address++) ask(`198.51.100.${address}`);
    expect(waits).toHaveLength(256);
    noRecordArrives();
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['auth.invalid']));
    ask('192.0.2.1');
    expect(waits).toHaveLength(257);
    noRecordArrives();
    await Promise.all(outcomes);
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
