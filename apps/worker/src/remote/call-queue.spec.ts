import { AppError } from '@weir/kernel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CallQueue } from './call-queue.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** A queue whose calls end when they are told to; what it counts is noted. */
function aQueue(limits: { concurrency?: number; queueLength?: number; queueWaitMs?: number } = {}) {
  const counted: string[] = [];
  const statistics = {
    waited: () => undefined,
    ran: ({ rows, isOk }: { rows: number; isOk: boolean }) => void counted.push(`ran ${rows} ${isOk ? 'well' : 'badly'}`),
    rejected: (reason: string) => void counted.push(reason),
  };
  const queue = new CallQueue({ concurrency: 1, queueLength: 10, queueWaitMs: 1_000, statistics, ...limits });
  const began: string[] = [];
  const calls = new Map<string, PromiseWithResolvers<string>>();
  const call = (name: string, priority: 'interactive' | 'batch' = 'interactive', signal = new AbortController().signal) => {
    const ending = Promise.withResolvers<string>();
    calls.set(name, ending);
    const done = queue.run(priority, 1, signal, () => {
      began.push(name);
      return ending.promise;
    });
    return done.then(
      ({ result }) => result,
      (error: unknown) => (error instanceof AppError ? error.code : String(error)),
    );
  };
  return {
    queue,
    counted,
    began,
    call,
    end: (name: string) => calls.get(name)?.resolve(name),
    fail: (name: string) => calls.get(name)?.reject(new Error('no')),
  };
}

describe('calls to another server', () => {
  it('are made so many at once, the others in the order in which they came, interactive ones first', async () => {
    const { queue, began, call, end } = aQueue({ concurrency: 2 });
    const all = [call('a'), call('b'), call('slow', 'batch'), call('c'), call('d')];
    expect([began, queue.waiting]).toEqual([['a', 'b'], 3]);
    end('a');
    await all[0];
    for (const name of ['b', 'c', 'd', 'slow']) end(name);
    expect(await Promise.all(all)).toEqual(['a', 'b', 'slow', 'c', 'd']);
    expect(began).toEqual(['a', 'b', 'c', 'd', 'slow']);
  });

  it('beyond the bound of the queue are refused at once, and counted', async () => {
    const { counted, call, end } = aQueue({ queueLength: 1 });
    const all = [call('a'), call('b')];
    expect(await call('c')).toBe('worker.overloaded');
    expect(counted).toEqual(['overloaded']);
    end('a');
    end('b');
    expect(await Promise.all(all)).toEqual(['a', 'b']);
  });

  it('are refused when calls before them took so long that the wait would be too long, and told after how long to come again', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { queue, call, end } = aQueue({ queueWaitMs: 1_500 });
    const first = call('a');
    vi.advanceTimersByTime(1_200);
    end('a');
    await first;
    const all = [call('b'), call('c')];
    const refused = await queue.run('interactive', 1, new AbortController().signal, async () => 'd').catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'worker.overloaded', retryAfterMs: 2_400 });
    end('b');
    end('c');
    expect(await Promise.all(all)).toEqual(['b', 'c']);
  });

  it('that have gone before their turn are never made, and counted by why', async () => {
    const { began, counted, call, end } = aQueue();
    const first = call('a');
    for (const code of ['request.timeout', 'request.cancelled'] as const) {
      const controller = new AbortController();
      const waiting = call(code, 'interactive', controller.signal);
      controller.abort(new AppError(code));
      expect(await waiting).toBe(code);
    }
    end('a');
    await first;
    expect(began).toEqual(['a']);
    expect(counted).toEqual(['timeout', 'cancelled', 'ran 1 well']);
  });

  it('that fail are counted, and let the next one through', async () => {
    const { counted, call, end, fail } = aQueue();
    const all = [call('a'), call('b')];
    fail('a');
    end('b');
    expect(await Promise.all(all)).toEqual(['Error: no', 'b']);
    expect(counted).toEqual(['ran 1 badly', 'ran 1 well']);
  });

  it('are waited for when the version is taken away', async () => {
    const { queue, call, end } = aQueue();
    const all = [call('a'), call('b')];
    let isSettled = false;
    const settled = queue.settled().then(() => (isSettled = true));
    end('a');
    await all[0];
    expect(isSettled).toBe(false);
    end('b');
    await settled;
    expect(await Promise.all(all)).toEqual(['a', 'b']);
  });
});
