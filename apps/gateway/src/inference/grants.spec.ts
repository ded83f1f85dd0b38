import { describe, expect, test } from 'vitest';
import { aCall, aCatalogue, aDeployment, anEntitlement, aPrincipal } from './gateway-world.fixture.ts';
import { grantFor } from './grants.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');

describe('what a call may run', () => {
  test('a public model that the plan covers and prices', () => {
    const grant = grantFor(aCatalogue(), aCall(), NOW);
    expect(grant.deployment.versionId).toBe('version-1');
    expect(grant.prices.id).toBe('prices-1');
  });

  test('a credential without the scope infer may run nothing', () => {
    const call = aCall({ principal: aPrincipal({ scopes: new Set(['models.read']) }) });
    expect(() => grantFor(aCatalogue(), call, NOW)).toThrow(expect.objectContaining({ code: 'access.forbidden' }));
  });

  test("another tenant's private model is as unknown as one that does not exist", () => {
    const catalogue = aCatalogue({ deployments: [aDeployment({ model: 'rival/secret', ownerTenantId: 'rival', visibility: 'private' })] });
    for (const model of ['rival/secret', 'nothing']) {
      expect(() => grantFor(catalogue, aCall({ model }), NOW)).toThrow(expect.objectContaining({ code: 'model.not_found' }));
    }
  });

  test("a tenant's own private model needs no mention in its plan", () => {
    const catalogue = aCatalogue({
      deployments: [aDeployment({ model: 'acme/own', ownerTenantId: 'acme', visibility: 'private' })],
      entitlements: [anEntitlement({ models: [] })],
    });
    expect(grantFor(catalogue, aCall({ model: 'acme/own' }), NOW).deployment.model).toBe('acme/own');
  });

  test('a version that the alias does not point to is not found', () => {
    expect(() => grantFor(aCatalogue(), aCall({ version: '2' }), NOW)).toThrow(expect.objectContaining({ code: 'model.not_found' }));
    expect(grantFor(aCatalogue(), aCall({ version: '1' }), NOW).deployment.version).toBe('1');
  });

  test('without a subscription, or outside of its plan, nothing runs', () => {
    for (const entitlements of [[], [anEntitlement({ models: ['sentiment'] })]]) {
      expect(() => grantFor(aCatalogue({ entitlements }), aCall(), NOW)).toThrow(
        expect.objectContaining({ code: 'subscription.required' }),
      );
    }
  });

  test('what has no price is not served', () => {
    expect(() => grantFor(aCatalogue({ priceLists: [] }), aCall(), NOW)).toThrow(expect.objectContaining({ code: 'price.missing' }));
  });
});
