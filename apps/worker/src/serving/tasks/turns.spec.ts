import { describe, expect, it } from 'vitest';
import { Turns } from './turns.ts';

/** Takes this many turns and writes its name down at each. */
async function work(name: string, count: number, order: string[]): Promise<void> {
  const turns = new Turns(new AbortController().signal);
  for (let i = 0; i < count; i++) {
    await turns.next();
    order.push(name);
  }
}

describe('long loops', () => {
  it('take turns, one in each round of the event loop, so that together they delay others no longer than one', async () => {
    const order: string[] = [];
    let isDone = false;
    const rounds = async (): Promise<void> => {
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        order.push('|');
      }
    };
    const others = rounds();
    await Promise.all([work('a', 3, order), work('b', 3, order), work('c', 2, order)]);
    isDone = true;
    await others;
    expect(order.filter((name) => name !== '|').join('')).toBe('abcabcab');
    expect(order.join('')).not.toMatch(/[abc]{2}/u);
  });

  it('are over at first, go on after they got a turn, and are over again', async () => {
    const turns = new Turns(new AbortController().signal);
    expect(turns.isOver).toBe(true);
    await turns.next();
    const began = performance.now();
    while (!turns.isOver && performance.now() - began < 1_000);
    expect(turns.isOver).toBe(true);
  });

  it('end with the reason when nobody waits for their result', async () => {
    const gone = new AbortController();
    const turns = new Turns(gone.signal);
    const next = turns.next();
    gone.abort(new Error('the caller has gone'));
    await expect(next).rejects.toThrow('the caller has gone');
  });
});
