import {
  apiKeyChanged,
  deploymentChanged,
  entitlementChanged,
  priceListPublished,
  sessionRevoked,
  signingKeyChanged,
  tenantChanged,
  workerChanged,
  type DeploymentState,
  type EventDefinition,
  type PriceList,
} from '@weir/contracts';
import { toRecord, type EventBus, type FollowOptions } from '@weir/platform/bus';
import { Readiness } from '@weir/platform/service';
import { createLogger } from '@weir/platform/telemetry';
import { TestClock } from '@weir/testing';
import { afterEach, expect, test } from 'vitest';
import { Projections } from './projections.ts';

const NOW = '2026-03-01T00:00:00.000Z';
const open: Projections[] = [];
afterEach(async () => {
  for (const projections of open.splice(0)) await projections.onApplicationShutdown();
});

/** Projections over a follower whose records the test hands over itself; the buses' own followers are in the conformance suite. */
async function someProjections() {
  let apply: FollowOptions['apply'] = () => undefined;
  let catchUp: () => void = () => undefined;
  const caughtUp = new Promise<void>((resolve) => (catchUp = resolve));
  let followed: readonly string[] = [];
  const bus: Pick<EventBus, 'follow'> = {
    follow: async (options) => {
      apply = (record) => options.apply(record);
      followed = options.topics;
      return { caughtUp, isLive: () => true, close: async () => undefined };
    },
  };
  const readiness = new Readiness();
  const logger = createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' });
  const projections = new Projections(bus as EventBus, logger, new TestClock(NOW), readiness);
  await projections.onModuleInit();
  open.push(projections);
  let offset = 0;
  const put = <T>(definition: EventDefinition<T>, data: T): void => {
    const record = toRecord(definition, data, { id: `e${offset}`, source: 'spec', tenant: null, occurredAt: NOW });
    apply({
      topic: definition.topic,
      partition: 0,
      offset: offset++,
      timestampMs: 0,
      key: record.key,
      value: record.value,
      headers: record.headers ?? {},
    });
  };
  const remove = (definition: { topic: string }, key: string): void =>
    apply({ topic: definition.topic, partition: 0, offset: offset++, timestampMs: 0, key, value: null, headers: {} });
  return { projections, readiness, put, remove, catchUp, followed: () => followed };
}

function aDeployment(options: Partial<DeploymentState> = {}): DeploymentState {
  return {
    modelId: 'm1',
    model: 'digits',
    ownerTenantId: 'platform',
    visibility: 'public',
    task: 'tensors',
    alias: 'production',
    versionId: 'v1',
    version: '1',
    ...options,
  };
}

function aPriceList(options: Partial<PriceList> = {}): PriceList {
  return { id: 'l1', planId: 'p1', currency: 'EUR', effectiveFrom: '2026-01-01T00:00:00.000Z', rates: [], ...options };
}

test('the gateway is ready when everything that the topics held is known', async () => {
  const { projections, readiness, catchUp } = await someProjections();
  expect((await readiness.report()).isReady).toBe(false);
  catchUp();
  await projections.caughtUp;
  expect((await readiness.report()).isReady).toBe(true);
});

test('keys, tenants, sessions, signing keys and entitlements are found by key until they are removed', async () => {
  const { projections, put, remove, followed } = await someProjections();
  const digest = 'a'.repeat(64);
  put(apiKeyChanged, {
    id: 'k1',
    tenantId: 'acme',
    digest,
    name: 'k',
    scopes: ['infer'],
    limits: { requestsPerMinute: null, maxInFlight: null },
    expiresAt: null,
  });
  put(tenantChanged, { id: 'acme', slug: 'acme', displayName: 'Acme', status: 'active' });
  put(sessionRevoked, { id: 's1', expiresAt: NOW });
  put(signingKeyChanged, { id: 'kid1', jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x' } });
  put(entitlementChanged, { tenantId: 'acme', subscriptionId: 'sub', planId: 'p1', currency: 'EUR', models: ['*'] });
  expect(projections.apiKeyByDigest(digest)?.id).toBe('k1');
  expect(projections.tenant('acme')?.status).toBe('active');
  expect([projections.isSessionRevoked('s1'), projections.isSessionRevoked('s2')]).toEqual([true, false]);
  expect(projections.signingKey('kid1')?.crv).toBe('Ed25519');
  expect(projections.entitlement('acme')?.planId).toBe('p1');
  remove(apiKeyChanged, digest);
  remove(entitlementChanged, 'acme');
  expect(projections.apiKeyByDigest(digest)).toBeUndefined();
  expect(projections.entitlement('acme')).toBeUndefined();
  expect(followed()).toHaveLength(8);
});

test('a private model is there for its owner alone, also when it has the name of a public one', async () => {
  const { projections, put, remove } = await someProjections();
  put(deploymentChanged, aDeployment({ modelId: 'm2', model: 'acme/own', ownerTenantId: 'acme', visibility: 'private' }));
  expect(projections.deployment('acme/own', 'production', 'acme')?.modelId).toBe('m2');
  expect(projections.deployment('acme/own', 'production', 'globex')).toBeUndefined();
  put(deploymentChanged, aDeployment());
  put(deploymentChanged, aDeployment({ modelId: 'm3', ownerTenantId: 'acme', visibility: 'private' }));
  expect(projections.deployment('digits', 'production', 'acme')?.modelId).toBe('m3');
  expect(projections.deployment('digits', 'production', 'globex')?.modelId).toBe('m1');
  remove(deploymentChanged, 'm3:production');
  expect(projections.deployment('digits', 'production', 'acme')?.modelId).toBe('m1');
});

test('an alias that moves leads to its new version, and a renamed model leaves no old name', async () => {
  const { projections, put } = await someProjections();
  put(deploymentChanged, aDeployment());
  put(deploymentChanged, aDeployment({ versionId: 'v2', version: '2' }));
  expect(projections.deployment('digits', 'production', 'acme')?.versionId).toBe('v2');
  put(deploymentChanged, aDeployment({ model: 'numbers' }));
  expect(projections.deployment('digits', 'production', 'acme')).toBeUndefined();
  expect([...projections.deployments()]).toHaveLength(1);
});

test('the price list of a plan is the one in force at the moment', async () => {
  const { projections, put } = await someProjections();
  put(priceListPublished, aPriceList({ id: 'l2', effectiveFrom: '2026-02-01T00:00:00.000Z' }));
  put(priceListPublished, aPriceList());
  put(priceListPublished, aPriceList({ id: 'other', planId: 'p2', effectiveFrom: '2026-02-15T00:00:00.000Z' }));
  expect(projections.priceListFor('p1', Date.parse('2025-12-31T00:00:00.000Z'))).toBeNull();
  expect(projections.priceListFor('p1', Date.parse('2026-01-15T00:00:00.000Z'))?.id).toBe('l1');
  expect(projections.priceListFor('p1', Date.parse(NOW))?.id).toBe('l2');
  expect(projections.priceList('l1')?.planId).toBe('p1');
});

test('a worker whose last word is old at the start is not offered until it is heard', async () => {
  const { projections, put, catchUp } = await someProjections();
  const worker = {
    id: 'w1',
    url: 'http://127.0.0.1:1',
    startedAt: NOW,
    heartbeatAt: '2026-02-28T00:00:00.000Z',
    state: 'serving' as const,
    memoryBytes: 1,
    versions: [{ versionId: 'v1', state: 'ready' as const }],
  };
  put(workerChanged, worker);
  put(workerChanged, { ...worker, id: 'w2', heartbeatAt: NOW });
  catchUp();
  await projections.caughtUp;
  expect(projections.readyWorkersFor('v1').map((ready) => ready.id)).toEqual(['w2']);
  put(workerChanged, worker);
  expect(projections.readyWorkersFor('v1').map((ready) => ready.id)).toEqual(['w1', 'w2']);
  expect(projections.workers()).toHaveLength(2);
});

test('a wait for the record of an API key ends with the record, or with its time; a revoked key is not waited for', async () => {
  const { projections, put, remove } = await someProjections();
  const digest = 'a'.repeat(64);
  expect(await projections.whenApiKey(digest, 1)).toBeUndefined();
  const waits = [projections.whenApiKey(digest, 60_000), projections.whenApiKey(digest, 60_000)];
  const key = {
    id: 'key-1',
    tenantId: 'acme',
    digest,
    name: 'k',
    scopes: ['infer'],
    limits: { requestsPerMinute: null, maxInFlight: null },
    expiresAt: null,
  };
  put(apiKeyChanged, key);
  expect(await Promise.all(waits)).toEqual([key, key]);
  expect(await projections.whenApiKey(digest, 60_000)).toEqual(key);
  remove(apiKeyChanged, digest);
  expect(await projections.whenApiKey(digest, 60_000)).toBeUndefined();
});
