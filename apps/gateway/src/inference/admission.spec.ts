import type { KeyLimits } from '@weir/contracts';
import { describe, expect, test } from 'vitest';
import type { GatewaySettings } from '../settings.ts';
import { Admission, rateLimitHeaders, type Permit } from './admission.ts';
import { aCall, aCatalogue, aPrincipal } from './gateway-world.fixture.ts';
import type { InferenceCall } from './inference.ts';

const admission = (settings: Partial<GatewaySettings> = {}, tenantLimits: Readonly<Record<string, KeyLimits>> = {}): Admission => {
  const defaults = {
    requestsPerMinute: 3,
    maxInFlight: 2,
    tenantRequestsPerMinute: 1_000,
    tenantMaxInFlight: 1_000,
    gatewayMaxInFlight: 10_000,
  };
  return new Admission({ ...defaults, ...settings } as GatewaySettings, aCatalogue({ tenantLimits }));
};

/** A call of a key whose owner has chosen limits beyond all others. */
const anUnlimitedCall = (tenantId: string, id = 'key-1'): InferenceCall =>
  aCall({ principal: aPrincipal({ tenantId, id }), limits: { requestsPerMinute: 1_000_000, maxInFlight: 10_000 } });

/** Admits calls until one is refused. */
async function admitted(limits: Admission, call: InferenceCall, most = 10_000): Promise<{ permits: Permit[]; refusal: unknown }> {
  const permits: Permit[] = [];
  while (permits.length < most) {
    try {
      permits.push(await limits.admit(call));
    } catch (refusal) {
      return { permits, refusal };
    }
  }
  return { permits, refusal: null };
}

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

  test("a key with a limit of 1,000,000 a minute is held to its tenant's; keys of the tenant share it, and another tenant is unaffected", async () => {
    const limits = admission({ tenantRequestsPerMinute: 5 });
    const { permits, refusal } = await admitted(limits, anUnlimitedCall('acme'));
    expect(permits).toHaveLength(5);
    expect(permits.map(({ rateLimit }) => rateLimit.remaining)).toEqual([4, 3, 2, 1, 0]);
    expect(refusal).toMatchObject({ code: 'limit.requests', rateLimit: { limit: 5, remaining: 0 } });
    await expect(limits.admit(anUnlimitedCall('acme', 'key-2'))).rejects.toMatchObject({
      code: 'limit.requests',
      message: expect.stringContaining("the tenant's requests") as unknown,
      rateLimit: { of: 'tenant' },
    });
    expect((await admitted(limits, anUnlimitedCall('globex'))).permits).toHaveLength(5);
  });

  test("calls in flight of a tenant's keys are bounded together, whatever the keys' own limits are; another tenant is unaffected", async () => {
    const limits = admission({ tenantMaxInFlight: 3 });
    const [first] = (await admitted(limits, anUnlimitedCall('acme'), 2)).permits;
    await limits.admit(anUnlimitedCall('acme', 'key-2'));
    await expect(limits.admit(anUnlimitedCall('acme', 'key-2'))).rejects.toMatchObject({
      code: 'limit.in_flight',
      message: expect.stringContaining('tenant') as unknown,
    });
    await expect(limits.admit(anUnlimitedCall('globex'))).resolves.toBeDefined();
    first?.release();
    await expect(limits.admit(anUnlimitedCall('acme', 'key-2'))).resolves.toBeDefined();
  });

  test("the operator's limits of a tenant go before the platform's, upwards and downwards, and each may be left to the platform", async () => {
    const limits = admission(
      { tenantRequestsPerMinute: 5, tenantMaxInFlight: 4 },
      {
        few: { requestsPerMinute: 2, maxInFlight: null },
        many: { requestsPerMinute: 20, maxInFlight: 10 },
        slow: { requestsPerMinute: null, maxInFlight: 1 },
      },
    );
    const countOf = async (tenantId: string): Promise<number> => (await admitted(limits, anUnlimitedCall(tenantId))).permits.length;
    expect([await countOf('few'), await countOf('many'), await countOf('slow'), await countOf('acme')]).toEqual([2, 10, 1, 4]);
  });

  test("what a key's own limit refuses takes nothing from the tenant's other keys", async () => {
    const limits = admission({ tenantRequestsPerMinute: 4 });
    const limited = aCall({ limits: { requestsPerMinute: 1, maxInFlight: null } });
    await limits.admit(limited);
    for (let time = 0; time < 10; time++)
      await expect(limits.admit(limited)).rejects.toMatchObject({ code: 'limit.requests', rateLimit: { of: 'key' } });
    expect((await admitted(limits, anUnlimitedCall('acme', 'key-2'))).permits).toHaveLength(3);
  });

  test('no tenant fills the gateway: alone it holds half of the calls in flight, and a newcomer always finds room', async () => {
    const limits = admission({ gatewayMaxInFlight: 100 });
    const { permits, refusal } = await admitted(limits, anUnlimitedCall('acme'));
    expect(permits).toHaveLength(50);
    expect(refusal).toMatchObject({ code: 'limit.in_flight', message: expect.stringContaining('platform is busy') as unknown });
    const held: number[] = [];
    for (let tenant = 0; tenant < 5; tenant++) held.push((await admitted(limits, anUnlimitedCall(`tenant-${tenant}`))).permits.length);
    expect(Math.min(...held)).toBeGreaterThan(0);
    for (const permit of permits) permit.release();
    expect((await admitted(limits, anUnlimitedCall('newcomer'))).permits.length).toBeGreaterThan(10);
  });

  test('the limit of which least is left is said in the RateLimit headers', async () => {
    const limits = admission({ requestsPerMinute: 3, tenantRequestsPerMinute: 4 });
    for (const [key, of] of [
      ['key-1', 'key'],
      ['key-2', 'key'],
      ['key-3', 'tenant'],
    ] as const)
      expect((await limits.admit(aCall({ principal: aPrincipal({ id: key }) }))).rateLimit.of).toBe(of);
    expect(rateLimitHeaders({ of: 'tenant', limit: 600, remaining: 599, resetMs: 41_200 })).toEqual({
      'ratelimit-policy': '"tenant-requests";q=600;w=60',
      ratelimit: '"tenant-requests";r=599;t=42',
    });
    expect(rateLimitHeaders({ of: 'key', limit: 600, remaining: 599, resetMs: 41_200 })).toEqual({
      'ratelimit-policy': '"requests";q=600;w=60',
      ratelimit: '"requests";r=599;t=42',
    });
  });
});
