import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FairSemaphore } from './fair-semaphore.ts';

const semaphore = (options: Partial<ConstructorParameters<typeof FairSemaphore>[0]> = {}): FairSemaphore =>
  new FairSemaphore({ permits: 4, permitsPerKey: 2, waitingPerKey: 100, refusal: 'too many', ...options });
const { signal: connected } = new AbortController();
const patiently = { timeoutMs: 60_000, signal: () => connected };

/** Notes the order in which permits are granted; each is released on demand. */
function order(subject: FairSemaphore) {
  const granted: string[] = [];
  const releases: (() => void)[] = [];
  const ask = async (key: string): Promise<void> => {
    const release = await subject.acquire(key, patiently);
    granted.push(key);
    releases.push(release);
  };
  return { granted, releases, ask: (key: string, times: number) => Array.from({ length: times }, () => ask(key)) };
}

describe('permits that are shared fairly', () => {
  it('one key never holds more than its share, and another is granted at once meanwhile', async () => {
    const { granted, ask } = order(semaphore());
    void ask('aggressor', 50);
    void ask('victim', 1);
    await turn();
    expect(granted).toEqual(['aggressor', 'aggressor', 'victim']);
  });

  it('a permit that another key returns takes no key beyond its share', async () => {
    const { granted, releases, ask } = order(semaphore());
    void ask('aggressor', 50);
    void ask('victim', 1);
    await turn();
    releases[granted.indexOf('victim')]?.();
    await turn();
    expect(granted).toEqual(['aggressor', 'aggressor', 'victim']);
  });

  it('a permit that is returned twice is one permit', async () => {
    const { granted, releases, ask } = order(semaphore({ permits: 1, permitsPerKey: 1 }));
    void ask('first', 1);
    void ask('second', 1);
    void ask('third', 1);
    await turn();
    releases[0]?.();
    releases[0]?.();
    await turn();
    expect(granted).toEqual(['first', 'second']);
  });

  it('free permits go round the keys that wait, however many requests one of them has queued before', async () => {
    const { granted, releases, ask } = order(semaphore({ permits: 1, permitsPerKey: 1 }));
    void ask('first', 1);
    void ask('aggressor', 50);
    void ask('second', 2);
    void ask('third', 2);
    for (let round = 0; round < 6; round++) {
      await turn();
      releases.shift()?.();
    }
    await turn();
    expect(granted).toEqual(['first', 'aggressor', 'second', 'third', 'aggressor', 'second', 'third']);
  });

  it('a full queue refuses with limit.in_flight and a time to wait, and only its own key', async () => {
    const subject = semaphore({ waitingPerKey: 3 });
    const { granted, ask } = order(subject);
    void ask('aggressor', 5);
    await expect(subject.acquire('aggressor', patiently)).rejects.toMatchObject({ code: 'limit.in_flight', retryAfterMs: 1_000 });
    void ask('victim', 1);
    await turn();
    expect(granted).toContain('victim');
  });

  it('who waits too long is refused, who disconnects is cancelled, and neither keeps a place', async () => {
    const subject = semaphore({ permits: 1, permitsPerKey: 1 });
    const release = await subject.acquire('a', patiently);
    await expect(subject.acquire('b', { ...patiently, timeoutMs: 1 })).rejects.toMatchObject({ code: 'limit.in_flight' });
    const client = new AbortController();
    const waiting = subject.acquire('c', { ...patiently, signal: () => client.signal });
    client.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'request.cancelled' });
    release();
    release();
    const { granted, ask } = order(subject);
    void ask('d', 2);
    await turn();
    expect(granted).toEqual(['d']);
  });
});
