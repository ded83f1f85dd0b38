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

  test('calls that belong together go to one worker, at every gateway, and stay there when others come and go', () => {
    const names = ['one', 'two', 'three', 'four'];
    const placesAmong = (alive: readonly string[]): string[] => {
      const router = new Router(aCatalogue({ workers: alive.map((id) => aWorker({ id })) }));
      return Array.from({ length: 200 }, (_, sequence) => router.chooseFor(aDeployment(), `acme ${sequence}`).id);
    };
    const before = placesAmong(names);
    expect(new Set(before)).toEqual(new Set(names));
    expect(placesAmong([...names].reverse())).toEqual(before);
    const left = placesAmong(names.filter((name) => name !== 'two'));
    expect(left.filter((place, sequence) => before[sequence] !== 'two' && place !== before[sequence])).toEqual([]);
    const joined = placesAmong([...names, 'five']);
    expect(joined.filter((place, sequence) => place !== 'five' && place !== before[sequence])).toEqual([]);
    expect(() => new Router(aCatalogue({ workers: [] })).chooseFor(aDeployment(), 'acme 1')).toThrow(
      expect.objectContaining({ code: 'model.not_ready' }),
    );
  });

  test('when every worker was lost with the call, the error says so', () => {
    const router = new Router(aCatalogue());
    expect(() => router.choose(aDeployment(), new Set(['worker-1']))).toThrow(expect.objectContaining({ code: 'worker.unreachable' }));
  });
});
