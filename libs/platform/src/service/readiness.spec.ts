import { expect, it } from 'vitest';
import { Readiness } from './readiness.ts';

it('a degraded check leaves the process ready and says why; a failed one does not', async () => {
  const readiness = new Readiness();
  readiness.add('database', () => true);
  readiness.add('consumers', () => ({ state: 'degraded', detail: 'group metering: late' }));
  expect(await readiness.report()).toEqual({
    isReady: true,
    isDegraded: true,
    checks: { database: { state: 'ok' }, consumers: { state: 'degraded', detail: 'group metering: late' } },
  });
  readiness.add('models', async () => ({ state: 'failed', detail: 'digits is loading' }));
  readiness.add('bus', () => {
    throw new Error('unreachable');
  });
  expect(await readiness.report()).toMatchObject({
    isReady: false,
    isDegraded: false,
    checks: { models: { state: 'failed', detail: 'digits is loading' }, bus: { state: 'failed' } },
  });
});

it('a process that stops is not ready', async () => {
  const readiness = new Readiness();
  readiness.drain();
  expect((await readiness.report()).isReady).toBe(false);
});
