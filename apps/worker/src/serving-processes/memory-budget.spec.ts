import { describe, expect, it } from 'vitest';
import { evictions, type InMemoryVersion } from './memory-budget.ts';

const held = (versionId: string, bytes: number, idleMs: number, isBusy = false): InMemoryVersion => ({ versionId, bytes, idleMs, isBusy });

describe('room in memory', () => {
  it('that is there costs nobody', () => {
    expect(evictions(100, 40, [held('a', 60, 9_000)])).toEqual([]);
  });

  it('is made by unloading the longest unused, and no more than needed', () => {
    expect(evictions(100, 40, [held('a', 40, 1), held('b', 40, 9_000), held('c', 20, 50)])).toEqual(['b']);
    expect(evictions(100, 50, [held('a', 40, 1), held('b', 40, 9_000), held('c', 20, 50)])).toEqual(['b', 'c']);
  });

  it('is never taken from what is in use', () => {
    expect(evictions(100, 40, [held('a', 80, 9_000, true), held('b', 20, 1)])).toBeNull();
  });
});
