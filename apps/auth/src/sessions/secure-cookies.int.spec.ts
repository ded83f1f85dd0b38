import { anOperator, type TestService } from '@weir/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { aTenant, anonymous, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';

let auth: TestService;

beforeAll(async () => {
  auth = await startAuth({ environment: { WEIR_PUBLIC_URL: 'https://weir.example' } });
});

afterAll(async () => {
  await auth.close();
});

it('marks every cookie Secure where users reach the platform by https, though the request itself arrives by http', async () => {
  const { ownerEmail } = await aTenant(auth, anOperator());
  const signedIn = await signIn(auth, ownerEmail, PASSWORD);
  const { token } = (await signedIn.json()) as { token: string };
  const signedOut = await auth.request('/auth/sign-out', {
    principal: anonymous,
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  const cookies = [...signedIn.headers.getSetCookie(), ...signedOut.headers.getSetCookie()];
  expect(cookies).toHaveLength(3);
  for (const cookie of cookies) expect(cookie).toMatch(/; Secure$/);
});
