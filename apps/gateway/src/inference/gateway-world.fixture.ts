import type { DeploymentState, Entitlement, KeyLimits, PriceList, WorkerState } from '@weir/contracts';
import type { Principal } from '@weir/access';
import type { Catalogue } from './catalogue.ts';
import type { InferenceCall } from './inference.ts';

/** A caller of tenant acme that may infer. */
export function aPrincipal(overrides: Partial<Principal> = {}): Principal {
  return { kind: 'api-key', id: 'key-1', tenantId: 'acme', scopes: new Set(['infer', 'models.read']), ...overrides };
}

export function aCall(overrides: Partial<InferenceCall> = {}): InferenceCall {
  return {
    principal: aPrincipal(),
    limits: null,
    requestId: 'request-1',
    surface: 'open-inference',
    model: 'digits',
    request: () => ({ headers: { 'content-type': 'application/json' }, body: Buffer.from('{}') }),
    read: (answer) => answer,
    arrivedAtMs: performance.now(),
    ...overrides,
  };
}

export function aDeployment(overrides: Partial<DeploymentState> = {}): DeploymentState {
  return {
    modelId: 'model-1',
    model: 'digits',
    ownerTenantId: 'platform',
    visibility: 'public',
    task: 'image-classification',
    alias: 'production',
    versionId: 'version-1',
    version: '1',
    ...overrides,
  };
}

export function aWorker(overrides: Partial<WorkerState> = {}): WorkerState {
  return {
    id: 'worker-1',
    url: 'http://127.0.0.1:1',
    startedAt: '2026-01-01T00:00:00Z',
    heartbeatAt: '2026-01-01T00:00:00Z',
    state: 'serving',
    memoryBytes: 0,
    versions: [{ versionId: 'version-1', state: 'ready' }],
    ...overrides,
  };
}

export const aPriceList: PriceList = {
  id: 'prices-1',
  planId: 'plan-1',
  currency: 'EUR',
  effectiveFrom: '2026-01-01T00:00:00Z',
  rates: [
    { model: '*', meter: 'requests', unitAmount: '0.0001', per: 1 },
    { model: 'digits', meter: 'inputs', unitAmount: '0.40', per: 1000 },
  ],
};

export function anEntitlement(overrides: Partial<Entitlement> = {}): Entitlement {
  return { tenantId: 'acme', subscriptionId: 'subscription-1', planId: 'plan-1', currency: 'EUR', models: ['*'], ...overrides };
}

/** A catalogue over plain values, with the look-up rules of the projections. */
export function aCatalogue(
  world: {
    deployments?: DeploymentState[];
    entitlements?: Entitlement[];
    priceLists?: PriceList[];
    workers?: WorkerState[];
    /** Limits of tenants, by id. */
    tenantLimits?: Readonly<Record<string, KeyLimits>>;
  } = {},
): Catalogue {
  const { deployments = [aDeployment()], entitlements = [anEntitlement()], priceLists = [aPriceList], workers = [aWorker()] } = world;
  const { tenantLimits = {} } = world;
  return {
    deployment: (model, alias, tenantId) =>
      deployments.find(
        (one) => one.model === model && one.alias === alias && (one.visibility === 'public' || one.ownerTenantId === tenantId),
      ),
    tenant: (id) => ({ limits: tenantLimits[id] }),
    entitlement: (tenantId) => entitlements.find((one) => one.tenantId === tenantId),
    priceListFor: (planId) => priceLists.find((one) => one.planId === planId) ?? null,
    deployments: () => deployments,
    workers: () => workers,
    readyWorkersFor: (versionId) =>
      workers
        .filter((one) => one.versions.some((version) => version.versionId === versionId && version.state === 'ready'))
        .map(({ id, url }) => ({ id, url })),
  };
}
