import { describe, expect, it } from 'vitest';
import { CostModel } from './cost-model.ts';

/** A model that has seen runs of these sizes, each of which took `perUnit · units + perRun` milliseconds. */
function learned(sizes: readonly number[], perUnit: number, perRun: number): CostModel {
  const cost = new CostModel();
  for (const units of sizes) cost.observe(units, perUnit * units + perRun);
  return cost;
}

describe('what runs cost', () => {
  it('is the line through what was measured', () => {
    const { perUnit, perRun } = learned([1, 2, 4, 8, 16], 0.5, 3).line();
    expect(perUnit).toBeCloseTo(0.5, 6);
    expect(perRun).toBeCloseTo(3, 6);
  });

  it('follows a machine that has become slower', () => {
    const cost = learned([1, 4, 16], 0.5, 3);
    for (let i = 0; i < 400; i++) for (const units of [1, 4, 16]) cost.observe(units, units + 6);
    expect(cost.expectMs(10)).toBeCloseTo(16, 1);
  });

  it('is not thrown off by one run that the machine held up', () => {
    const cost = learned(
      Array.from({ length: 30 }, (_, index) => 1 + (index % 8)),
      1,
      2,
    );
    const before = cost.expectMs(4) ?? 0;
    cost.observe(4, 10_000);
    expect(cost.expectMs(4)).toBeLessThan(before * 2);
  });

  it('takes the median of the runs of one size, whichever of them an outlier was', () => {
    for (const outlierMs of [0.01, 10_000]) {
      const cost = learned([4, 4, 4, 4], 1, 2);
      cost.observe(4, outlierMs);
      expect(cost.expectMs(4)).toBeCloseTo(6, 6);
    }
  });

  it('is remembered of sizes that have not been run for a while, but not for ever', () => {
    const cost = learned([1, 2], 1, 10);
    for (let i = 0; i < 100; i++) cost.observe(16, 26);
    expect(cost.line().perRun).toBeCloseTo(10, 6);
    for (let i = 0; i < 1_000; i++) cost.observe(16, 26);
    expect(cost.line().perRun).toBe(0);
  });

  it('of runs of one size is taken to be that of their rows, and never negative', () => {
    expect(learned([4, 4, 4], 0.5, 2).line()).toEqual({ perUnit: 1, perRun: 0 });
    const cost = new CostModel();
    cost.observe(1, 10);
    cost.observe(8, 5);
    expect(cost.line().perUnit).toBeGreaterThanOrEqual(0);
    expect(cost.line().perRun).toBeGreaterThanOrEqual(0);
  });
});

describe('a batch', () => {
  it('is filled until the fixed cost of a run is a twentieth of it', () => {
    expect(learned([1, 64, 128], 0.1, 1).batchUnits(1_000)).toBeCloseTo(190, 0);
  });

  it('is not filled beyond the time that a run may take', () => {
    expect(learned([1, 64, 128], 1, 10).batchUnits(50)).toBeCloseTo(40, 0);
  });

  it('is filled beyond that time where a single row takes as long already', () => {
    expect(learned([1, 64, 128], 1, 99).batchUnits(50)).toBeCloseTo(101, 0);
  });

  it('grows step by step beyond what was measured', () => {
    expect(learned([1, 2], 0.001, 10).batchUnits(1_000)).toBe(4);
  });

  it('of single rows is tried with two now and then, so that what company saves is found out', () => {
    const cost = learned([1], 5, 0);
    const limits = Array.from({ length: 100 }, () => {
      cost.observe(1, 5);
      return cost.batchUnits(1_000);
    });
    expect(limits.filter((units) => units === 2)).toHaveLength(1);
    expect(limits.filter((units) => units === 1)).toHaveLength(99);
  });

  it('of rows that gain nothing from company holds one', () => {
    expect(learned([1, 2, 4], 5, 0).batchUnits(1_000)).toBe(1);
    expect(new CostModel().batchUnits(1_000)).toBe(1);
  });
});
