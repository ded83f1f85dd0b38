import { describe, expect, it } from 'vitest';
import { normalNumbers, splitMix64, xoshiro128 } from './normal-numbers.ts';

const take = <T>(count: number, next: () => T): T[] => Array.from({ length: count }, next);

describe('random numbers', () => {
  it('of SplitMix64 are those of its reference', () => {
    const numbers = splitMix64(1_234_567n);
    expect(take(5, () => numbers.next().value)).toEqual([
      6_457_827_717_110_365_317n,
      3_203_168_211_198_807_973n,
      9_817_491_932_198_370_423n,
      4_593_380_528_125_082_431n,
      16_408_922_859_458_223_821n,
    ]);
  });

  it('of xoshiro128** are those of its reference', () => {
    expect(take(10, xoshiro128([1, 2, 3, 4]))).toEqual([
      11_520, 0, 5_927_040, 70_819_200, 2_031_721_883, 1_637_235_492, 1_287_239_034, 3_734_860_849, 3_729_100_597, 4_258_142_804,
    ]);
  });

  it('of a seed stay the same from version to version: what was drawn can be drawn again', () => {
    const first = (seed: bigint): number[] => take(4, normalNumbers(seed)).map(Math.fround);
    expect(first(0n)).toEqual([0.8230684995651245, 0.3774554431438446, -0.6867027282714844, 1.286577582359314]);
    expect(first(42n)).toEqual([1.0873020887374878, 1.3373748064041138, 0.7409935593605042, 0.5294255018234253]);
    expect(first(-1n)).toEqual([-0.254101425409317, 0.04031747207045555, -0.7418997287750244, -1.7494248151779175]);
    expect(first(2n ** 62n)).toEqual([-1.8165584802627563, 0.9575588703155518, -0.1069902628660202, -2.261077642440796]);
  });

  it('are normal: mean, deviation, and how many lie beyond one, two and three deviations', () => {
    const count = 200_000;
    const numbers = take(count, normalNumbers(7n));
    const mean = numbers.reduce((sum, number) => sum + number, 0) / count;
    const variance = numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0) / count;
    const beyond = (limit: number): number => numbers.filter((number) => Math.abs(number) > limit).length / count;
    expect(mean).toBeCloseTo(0, 2);
    expect(variance).toBeCloseTo(1, 1);
    expect(beyond(1)).toBeCloseTo(0.3173, 2);
    expect(beyond(2)).toBeCloseTo(0.0455, 2);
    expect(beyond(3)).toBeCloseTo(0.0027, 3);
    const neighbours = numbers.slice(1).reduce((sum, number, index) => sum + number * (numbers[index] ?? 0), 0) / count;
    expect(neighbours).toBeCloseTo(0, 2);
  });
});
