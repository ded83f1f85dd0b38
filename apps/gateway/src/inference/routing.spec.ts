import { describe, expect, test } from 'vitest';
import { aCatalogue, aDeployment, aWorker } from './gateway-world.fixture.ts';
import { Router } from './routing.ts';

describe('routing', () => {
  test('a call goes to the worker with the fewest calls under way', () => {
    const [one, two] = [aWorker({ id: 'one' }), aWorker({ id: 'two' })];
    const router = new Router(aCatalogue({ workers: [one, two] }));
    const leave = router.track(one);
    expect(router.choose(aDeployment(), new Set()).id).toBe('two');
    router.track(two);
    leave();
    expect(router.choose(aDeployment(), new Set()).id).toBe('one');
  });

  test('a model that no worker has loaded is not ready, with a time to come again', () => {
    const router = new Router(aCatalogue({ workers: [] }));
    expect(() => router.choose(aDeployment(), new Set())).toThrow(
      expect.objectContaining({ code: 'model.not_ready', retryAfterMs: 2_000 }),
    );
  });

  test('when every worker was lost with the call, the error says so', () => {
    const router = new Router(aCatalogue());
    expect(() => router.choose(aDeployment(), new Set(['worker-1']))).toThrow(expect.objectContaining({ code: 'worker.unreachable' }));
  });
});
