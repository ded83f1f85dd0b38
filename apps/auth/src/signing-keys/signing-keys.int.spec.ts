import { anOperator, freshDatabase } from '@weir/testing';
import { expect, it } from 'vitest';
import { anonymous, aTenant, PASSWORD, signIn, startAuth } from '../auth.fixture.ts';

it('a session outlives a restart of auth, and there is still one key', async () => {
  const database = await freshDatabase();
  const before = await startAuth({ database });
  const { ownerEmail } = await aTenant(before, anOperator());
  const { token } = (await (await signIn(before, ownerEmail, PASSWORD)).json()) as { token: string };
  await before.close();
  const after = await startAuth({ database });
  const response = await after.request('/auth/session', { principal: anonymous, headers: { authorization: `Bearer ${token}` } });
  const jwks = (await (await after.request('/.well-known/jwks.json', { principal: anonymous })).json()) as { keys: unknown[] };
  await after.close();
  expect(response.status).toBe(200);
  expect(jwks.keys).toEqual([{ kty: 'OKP', crv: 'Ed25519', x: expect.any(String), kid: expect.any(String), alg: 'EdDSA', use: 'sig' }]);
});
