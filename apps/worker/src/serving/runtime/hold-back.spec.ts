import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HoldBack } from './hold-back.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a run that is held back', () => {
  it('is let go when the moment after the answers is over', () => {
    const release = vi.fn<() => void>();
    const holdBack = new HoldBack(release);
    holdBack.ended(8, 0, 6);
    expect(holdBack.isHolding(1)).toBe(true);
    // The answers are out; the moment of 3 ms begins.
    vi.advanceTimersByTime(0);
    vi.advanceTimersByTime(2);
    expect(release).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(release).toHaveBeenCalledOnce();
    expect(holdBack.isHolding(1)).toBe(false);
  });

  it('is let go once: by the last run, when another one ended meanwhile', () => {
    const release = vi.fn<() => void>();
    const holdBack = new HoldBack(release);
    holdBack.ended(8, 0, 6);
    vi.advanceTimersByTime(1);
    holdBack.ended(8, 0, 6);
    vi.advanceTimersByTime(100);
    expect(release).toHaveBeenCalledOnce();
  });

  it('is not waited for any more when its network goes', () => {
    const release = vi.fn<() => void>();
    const holdBack = new HoldBack(release);
    holdBack.ended(8, 0, 6);
    vi.advanceTimersByTime(1);
    holdBack.close();
    vi.advanceTimersByTime(100);
    expect(release).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
});
