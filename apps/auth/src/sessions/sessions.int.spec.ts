import { SESSION_COOKIE, verifySessionToken } from '@weir/access';
import { sessionRevoked, signingKeyChanged } from '@weir/contracts';
import { anOperator, eventually, TestClock, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anonymous, aPerson, aTenant, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';
import { ATTEMPTS_PER_ADDRESS, ATTEMPTS_PER_EMAIL } from './sign-in-throttle.ts';

interface Opened {
  readonly token: string;
  readonly expiresAt: string;
}

let auth: TestService;
const operator = anOperator();
const logLines: string[] = [];
const clock = new TestClock();

beforeAll(async () => {
  auth = await startAuth({ clock, onLogLine: (line) => logLines.push(line) });
});

afterAll(async () => {
  await auth.close();
});

function withToken(path: string, token: string, method = 'GET'): Promise<Response> {
  return auth.request(path, { principal: anonymous, method, headers: { authorization: `Bearer ${token}` } });
}

describe('sign-in', () => {
  it('answers who is signed in, until when, with a token and a cookie that scripts cannot read', async () => {
    const { tenantId, owner, ownerEmail } = await aTenant(auth, operator);
    const response = await signIn(auth, ownerEmail.toUpperCase(), PASSWORD);
    expect(response.status).toBe(200);
    const body = (await response.json()) as Opened;
    expect(body).toEqual({
      token: expect.any(String),
      expiresAt: new Date(clock.now() + 12 * 3_600_000).toISOString(),
      tenant: { id: tenantId, slug: expect.any(String), displayName: expect.any(String) },
      person: { id: owner.id, name: 'Olga Owner', email: ownerEmail, role: 'owner' },
    });
    const cookie = response.headers.get('set-cookie') ?? '';
    expect(cookie).toContain(`${SESSION_COOKIE}=${body.token};`);
    expect(cookie).toMatch(/; HttpOnly; SameSite=Lax$/);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('gives a token that everyone can check with the published keys', async () => {
    const { owner, ownerEmail } = await aTenant(auth, operator);
    const { token } = (await (await signIn(auth, ownerEmail, PASSWORD)).json()) as Opened;
    const jwks = (await (await auth.request('/.well-known/jwks.json', { principal: anonymous })).json()) as {
      keys: { kid: string; kty: string }[];
    };
    const { keys } = await auth.project({ keys: signingKeyChanged });
    await eventually(() => keys.size === 1);
    for (const keyOf of [(kid: string) => jwks.keys.find((key) => key.kid === kid), (kid: string) => keys.get(kid)?.jwk]) {
      expect(await verifySessionToken(token, keyOf, clock.now())).toMatchObject({
        personId: owner.id,
        tenantId: owner.tenantId,
        role: 'owner',
      });
    }
    expect(JSON.stringify(jwks)).not.toContain('"d"');
  });

  it('answers the same for a wrong password and for an address that nobody has', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    const answers = [await signIn(auth, ownerEmail, 'wrong password'), await signIn(auth, 'nobody@nowhere.example', 'wrong password')];
    for (const answer of answers) expect(answer.status).toBe(401);
    const [wrong, unknown] = await Promise.all(answers.map((answer) => answer.json() as Promise<{ error: { requestId?: string } }>));
    delete wrong?.error.requestId;
    delete unknown?.error.requestId;
    expect(wrong).toEqual(unknown);
    expect(wrong).toMatchObject({ error: { code: 'auth.sign_in_failed' } });
  });

  it.each([
    ['body.email', { password: 'x' }],
    ['body.email', { email: { $ne: null }, password: 'x' }],
    ['body.password', { email: 'a@b.example' }],
    ['body.password', { email: 'a@b.example', password: ['x'] }],
  ])('names the field %s that is wrong', async (field, body) => {
    const response = await auth.request('/auth/sign-in', {
      principal: anonymous,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'request.invalid', field } });
  });

  it('refuses forms, which another site could post', async () => {
    const response = await auth.request('/auth/sign-in', {
      principal: anonymous,
      method: 'POST',
      body: new URLSearchParams({ email: 'a@b.example', password: PASSWORD }),
    });
    expect(response.status).toBe(415);
  });

  it('refuses whoever does not come through the gateway', async () => {
    const response = await auth.request('/auth/sign-in', {
      principal: null,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'auth.internal_token' } });
  });
});

describe('guessing', () => {
  it("is stopped for an e-mail address with Retry-After, from wherever it comes; another person's sign-in goes on", async () => {
    const [victim, other] = [await aTenant(auth, operator), await aTenant(auth, operator)];
    const guesses = await Promise.all(
      Array.from({ length: ATTEMPTS_PER_EMAIL + 3 }, (_, i) => signIn(auth, victim.ownerEmail, `guess ${i}`, `198.51.100.${i}`)),
    );
    expect(guesses.filter(({ status }) => status === 401)).toHaveLength(ATTEMPTS_PER_EMAIL);
    expect(guesses.filter(({ status }) => status === 429)).toHaveLength(3);
    const refused = await signIn(auth, victim.ownerEmail, PASSWORD, '198.51.100.200');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(800);
    expect(await refused.json()).toMatchObject({ error: { code: 'auth.too_many_attempts' } });
    expect((await signIn(auth, other.ownerEmail, PASSWORD, '198.51.100.0')).status).toBe(200);
  });

  it('is stopped for a network address that tries many people; what it claims to forward for does not help it', async () => {
    const statuses: number[] = [];
    for (let i = 0; i <= ATTEMPTS_PER_ADDRESS; i++) {
      const response = await auth.request('/auth/sign-in', {
        principal: anonymous,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-forwarded-for': `10.0.0.${i}, 2001:db8:0:1::${i}` },
        body: JSON.stringify({ email: `person-${i}@many.example`, password: 'Spring2026!' }),
      });
      statuses.push(response.status);
    }
    expect(statuses.slice(0, -1).every((status) => status === 401)).toBe(true);
    expect(statuses.at(-1)).toBe(429);
  });

  it('is forgotten after the right password', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < ATTEMPTS_PER_EMAIL - 1; i++) expect((await signIn(auth, ownerEmail, 'wrong', '203.0.113.5')).status).toBe(401);
      expect((await signIn(auth, ownerEmail, PASSWORD, '203.0.113.5')).status).toBe(200);
    }
  });
});

describe('a session', () => {
  it('is shown to its own token, in a header or in the cookie', async () => {
    const { ownerEmail, tenantId } = await aTenant(auth, operator);
    const { token, expiresAt } = (await (await signIn(auth, ownerEmail, PASSWORD)).json()) as Opened;
    const byCookie = await auth.request('/auth/session', { principal: anonymous, headers: { cookie: `a=b; ${SESSION_COOKIE}=${token}` } });
    for (const response of [await withToken('/auth/session', token), byCookie]) {
      expect(await response.json()).toMatchObject({ expiresAt, tenant: { id: tenantId }, person: { email: ownerEmail } });
    }
  });

  it('ends with sign-out: here at once, everywhere by an event, and for good', async () => {
    const { ownerEmail } = await aTenant(auth, operator);
    const { token, expiresAt } = (await (await signIn(auth, ownerEmail, PASSWORD)).json()) as Opened;
    const { token: otherToken } = (await (await signIn(auth, ownerEmail, PASSWORD)).json()) as Opened;
    const { revoked } = await auth.project({ revoked: sessionRevoked });
    const response = await withToken('/auth/sign-out', token, 'POST');
    expect(response.status).toBe(204);
    expect(response.headers.get('set-cookie')).toMatch(new RegExp(`^${SESSION_COOKIE}=; .*Expires=Thu, 01 Jan 1970`));
    await eventually(() => [...revoked.values()].some((revocation) => revocation.expiresAt === expiresAt));
    expect((await withToken('/auth/session', token)).status).toBe(401);
    expect((await withToken('/auth/session', otherToken)).status).toBe(200);
    expect((await withToken('/auth/sign-out', token, 'POST')).status).toBe(204);
  });

  it('ends by itself; its rows and its revocation are forgotten at the next sign-in', async () => {
    const { owner, ownerEmail } = await aTenant(auth, operator);
    await aPerson(auth, owner, 'stays@one.example');
    const { token } = (await (await signIn(auth, ownerEmail, PASSWORD)).json()) as Opened;
    await withToken('/auth/sign-out', token, 'POST');
    const { revoked } = await auth.project({ revoked: sessionRevoked });
    const sessionId = (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string }).sid;
    await eventually(() => revoked.has(sessionId));
    clock.advance(12 * 3_600_000 + 1_000);
    const expired = await withToken('/auth/session', token);
    expect(expired.status).toBe(401);
    expect(await expired.json()).toMatchObject({ error: { code: 'auth.expired' } });
    await signIn(auth, ownerEmail, PASSWORD);
    await eventually(() => !revoked.has(sessionId));
  });

  it('needs a token that is ours', async () => {
    expect(await (await auth.request('/auth/session', { principal: anonymous })).json()).toMatchObject({
      error: { code: 'auth.required' },
    });
    const forged = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x"}').toString('base64url')}.`;
    expect(await (await withToken('/auth/session', forged)).json()).toMatchObject({ error: { code: 'auth.invalid' } });
  });
});

it('no e-mail address, password or token is in the log', () => {
  const text = logLines.join('\n');
  expect(text).not.toContain('.example');
  expect(text).not.toContain(PASSWORD);
  expect(text).not.toMatch(/eyJ/);
});
