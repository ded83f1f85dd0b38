import { describe, expect, it } from 'vitest';
import { FairQueue } from './fair-queue.ts';

describe('calls that wait', () => {
  it('of a busy model do not hold up those of another', () => {
    const queue = new FairQueue<string>(10);
    for (const entry of ['a1', 'a2', 'a3']) queue.add('a', entry);
    queue.add('b', 'b1');
    expect([queue.take(), queue.take(), queue.take(), queue.take(), queue.take()]).toEqual(['a1', 'b1', 'a2', 'a3', undefined]);
  });

  it('are no more than the bound of each model', () => {
    const queue = new FairQueue<string>(1);
    expect([queue.add('a', 'a1'), queue.add('a', 'a2'), queue.add('b', 'b1')]).toEqual([true, false, true]);
    queue.take();
    expect(queue.add('a', 'a3')).toBe(true);
  });

  it('free their place when they are given up', () => {
    const queue = new FairQueue<string>(1);
    queue.add('a', 'a1');
    queue.remove('a', 'a1');
    queue.remove('a', 'a1');
    expect(queue.size).toBe(0);
    expect(queue.add('a', 'a2')).toBe(true);
    expect(queue.drain('a')).toEqual(['a2']);
    expect(queue.size).toBe(0);
    expect(queue.take()).toBeUndefined();
  });
});
