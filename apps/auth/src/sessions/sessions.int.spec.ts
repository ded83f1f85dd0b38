import { SESSION_COOKIE, verifySessionToken } from '@weir/access';
import { sessionRevoked, signingKeyChanged } from '@weir/contracts';
import { anOperator, eventually, TestClock, type TestService } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anonymous, aPerson, aTenant, deviceCookieOf, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';

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
    const [session, device] = response.headers.getSetCookie();
    expect(session).toMatch(new RegExp(`^${SESSION_COOKIE}=${body.token}; Path=/; Expires=[^;]+; HttpOnly; SameSite=Lax$`));
    expect(device).toMatch(/^weir_device_[0-9a-f]{12}=[^;]+; Path=\/auth\/sign-in; Expires=[^;]+; HttpOnly; SameSite=Strict$/);
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
    const { ownerEmail } = await aTenant(auth, operator);
    const proofOfDevice = deviceCookieOf(await signIn(auth, ownerEmail, PASSWORD)).split('=')[1] ?? '';
    expect(await (await withToken('/auth/session', proofOfDevice)).json()).toMatchObject({ error: { code: 'auth.invalid' } });
  });
});

it('no e-mail address, password or token is in the log', () => {
  const text = logLines.join('\n');
  expect(text).not.toContain('.example');
  expect(text).not.toContain(PASSWORD);
  expect(text).not.toMatch(/eyJ/);
});
