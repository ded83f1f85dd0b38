import { describe, expect, it } from 'vitest';
import { ReturningCallers } from './returning-callers.ts';

describe('the next run', () => {
  it('waits a moment for those who were just answered, where a run costs much by itself', () => {
    const callers = new ReturningCallers();
    expect(callers.ended(8, 4, 6)).toBe(3);
    expect(callers.areAwaited(4)).toBe(true);
    callers.giveUp();
    expect(callers.areAwaited(4)).toBe(false);
  });

  it('starts as soon as all are back', () => {
    const callers = new ReturningCallers();
    callers.ended(8, 4, 6);
    expect(callers.areAwaited(11)).toBe(true);
    expect(callers.areAwaited(12)).toBe(false);
  });

  it('never waits when nothing has run, nor for a caller who is alone', () => {
    const callers = new ReturningCallers();
    expect(callers.areAwaited(1)).toBe(false);
    callers.ended(1, 0, 100);
    expect(callers.areAwaited(1)).toBe(false);
  });

  it('never waits long, nor where a run costs little by itself', () => {
    const callers = new ReturningCallers();
    expect(callers.ended(8, 4, 1_000)).toBe(4);
    expect(callers.ended(8, 4, 0.5)).toBe(1);
    expect(callers.ended(8, 4, 0.04)).toBe(0);
    expect(callers.areAwaited(4)).toBe(false);
  });

  it('counts the moment from when the answers are out: nobody can come again before', () => {
    const callers = new ReturningCallers();
    for (let nowMs = 1_000; nowMs < 3_000; nowMs += 20) {
      expect(callers.ended(8, 0, 6)).toBe(3);
      callers.answered(nowMs + 10);
      for (let i = 0; i < 8; i++) callers.arrived(nowMs + 12);
    }
  });

  it('stops waiting for callers who do not come back, and waits again when they do', () => {
    const callers = new ReturningCallers();
    let nowMs = 1_000;
    const round = (cameBack: number): number => {
      const held = callers.ended(8, 4, 6);
      callers.answered(nowMs);
      for (let i = 0; i < cameBack; i++) callers.arrived(nowMs + 1);
      for (let i = 0; i < 8; i++) callers.arrived(nowMs + 10);
      nowMs += 20;
      return held;
    };
    const gone = Array.from({ length: 30 }, () => round(0));
    expect(gone[0]).toBe(3);
    expect(gone.at(-1)).toBe(0);
    const back = Array.from({ length: 30 }, () => round(8));
    expect(back[0]).toBe(0);
    expect(back.at(-1)).toBe(3);
  });
});
