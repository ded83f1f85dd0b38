import { describe, expect, test } from 'vitest';
import type { GatewaySettings } from '../settings.ts';
import { Admission, rateLimitHeaders } from './admission.ts';
import { aCall, aPrincipal } from './gateway-world.fixture.ts';

const admission = (settings: Partial<GatewaySettings> = {}): Admission =>
  new Admission({ requestsPerMinute: 3, maxInFlight: 2, ...settings } as GatewaySettings);

describe('admission', () => {
  test('a key may send as many requests a minute as its limit, then is told when to come again', async () => {
    const limits = admission({ maxInFlight: 100 });
    for (let n = 0; n < 3; n++) expect((await limits.admit(aCall())).rateLimit).toMatchObject({ limit: 3, remaining: 2 - n });
    const refusal = await limits.admit(aCall()).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'limit.requests', rateLimit: { limit: 3, remaining: 0 } });
    expect((refusal as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0);
    expect((refusal as { retryAfterMs: number }).retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  test("one key's requests do not count for another, nor for the same key id of another tenant", async () => {
    const limits = admission({ requestsPerMinute: 1 });
    await limits.admit(aCall());
    await expect(limits.admit(aCall({ principal: aPrincipal({ id: 'key-2' }) }))).resolves.toBeDefined();
    await expect(limits.admit(aCall({ principal: aPrincipal({ tenantId: 'rival' }) }))).resolves.toBeDefined();
    await expect(limits.admit(aCall())).rejects.toMatchObject({ code: 'limit.requests' });
  });

  test("a key's own limit goes before the platform's", async () => {
    const limits = admission();
    const call = aCall({ limits: { requestsPerMinute: 1, maxInFlight: null } });
    await limits.admit(call);
    await expect(limits.admit(call)).rejects.toMatchObject({ code: 'limit.requests' });
  });

  test('calls in flight are bounded, and a place is free again when a call ends', async () => {
    const limits = admission({ requestsPerMinute: 100 });
    const first = await limits.admit(aCall());
    await limits.admit(aCall());
    await expect(limits.admit(aCall())).rejects.toMatchObject({ code: 'limit.in_flight' });
    first.release();
    await expect(limits.admit(aCall())).resolves.toBeDefined();
  });

  test('the limit is said in the RateLimit headers', () => {
    expect(rateLimitHeaders({ limit: 600, remaining: 599, resetMs: 41_200 })).toEqual({
      'ratelimit-policy': '"requests";q=600;w=60',
      ratelimit: '"requests";r=599;t=42',
    });
  });
});
