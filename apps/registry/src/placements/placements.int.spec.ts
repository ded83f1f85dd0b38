import { placementChanged, WORKER_EXPIRY_MS } from '@weir/contracts';
import { toRecord } from '@weir/platform/bus';
import { eventually, TestClock } from '@weir/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { A_PACKAGE, operator, startTestRegistry, type TestRegistry } from '../registry.fixture.ts';

let registry: TestRegistry;
const clock = new TestClock();
/** Files are at the same address after a restart. */
const environment = { WEIR_REGISTRY_PUBLIC_URL: 'http://127.0.0.1:4000' };

beforeAll(async () => {
  registry = await startTestRegistry({ clock, environment });
});

afterAll(async () => {
  await registry.close();
});

const placed = () =>
  [...registry.announced.maps.placements.values()].map((placement) => `${placement.model} on ${placement.workerId}`).sort();

it('a deployed version is placed on a worker with all that the worker needs, moved when the worker is gone, and withdrawn with its alias', async () => {
  const files = await registry.upload(operator, A_PACKAGE);
  await registry.publish(operator, { name: 'one', version: '1', visibility: 'PUBLIC', files, alias: 'production' });
  await registry.hear({ id: 'worker-1' });
  await eventually(() => placed().includes('one on worker-1'));
  const [placement] = registry.announced.maps.placements.values();
  expect(placement).toMatchObject({
    workerId: 'worker-1',
    model: 'one',
    version: '1',
    ownerTenantId: 'platform',
    visibility: 'public',
    task: 'tensors',
    artifactsUrl: 'http://127.0.0.1:4000/artifacts/sha256',
  });
  expect(placement?.files).toEqual([...files].sort((a, b) => (a.path < b.path ? -1 : 1)));

  // A second worker changes nothing.
  await registry.hear({ id: 'worker-2' });
  await registry.publish(operator, { name: 'two', version: '1', visibility: 'PUBLIC', files, alias: 'production' });
  await eventually(() => placed().join() === 'one on worker-1,two on worker-2');

  // The first one falls silent, the second does not.
  clock.advance(WORKER_EXPIRY_MS - 1);
  await registry.hear({ id: 'worker-2' });
  clock.advance(WORKER_EXPIRY_MS / 2);
  await eventually(() => placed().join() === 'one on worker-2,two on worker-2');

  // It comes back, and the other drains.
  await registry.hear({ id: 'worker-1' });
  await registry.hear({ id: 'worker-2', state: 'draining' });
  await eventually(() => placed().join() === 'one on worker-1,two on worker-1');

  // The last one leaves: its placements wait for it.
  await registry.leave('worker-2');
  await registry.leave('worker-1');
  await registry.publish(operator, { name: 'three', version: '1', visibility: 'PUBLIC', files, alias: 'production' });
  await registry.hear({ id: 'worker-1' });
  await eventually(() => placed().includes('three on worker-1'));
  expect(placed()).toEqual(['one on worker-1', 'three on worker-1', 'two on worker-1']);

  await registry.graphql(operator, 'mutation { removeModelAlias(input: { name: "one", alias: "production" }) { model { name } } }');
  await eventually(() => placed().join() === 'three on worker-1,two on worker-1');
});

it('a placement is announced again when the visibility of its model changes, and all are when a registry starts', async () => {
  const files = await registry.upload(operator, A_PACKAGE);
  const visibility = () => [...registry.announced.maps.placements.values()].find(({ model }) => model === 'shown')?.visibility;
  await registry.hear({ id: 'worker-1' });
  await registry.publish(operator, { name: 'shown', version: '1', visibility: 'PUBLIC', files, alias: 'production' });
  await eventually(() => visibility() === 'public');
  // Another version without an alias: the placed one stays, and the model is private from now on.
  await registry.publish(operator, { name: 'shown', version: '2', visibility: 'PRIVATE', files });
  await eventually(() => visibility() === 'private');

  // As a registry of an earlier release announced it.
  const placement = [...registry.announced.maps.placements.values()].find(({ model }) => model === 'shown');
  if (placement === undefined) throw new Error('not placed');
  const { visibility: _, ...earlier } = placement;
  await registry.service.bus.send(placementChanged.topic, [
    toRecord(placementChanged, earlier, { id: 'earlier', source: 'registry', tenant: 'platform', occurredAt: new Date().toISOString() }),
  ]);
  await eventually(() => visibility() === undefined);
  const { database } = registry.service;
  await registry.close();
  registry = await startTestRegistry({ clock, database, environment });
  await registry.hear({ id: 'worker-1' });
  await eventually(() => visibility() === 'private');
});
