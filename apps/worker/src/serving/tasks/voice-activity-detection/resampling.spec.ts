import { describe, expect, it } from 'vitest';
import { Turns } from '../turns.ts';
import { resampled, smallRatio } from './resampling.ts';

const turns = new Turns(new AbortController().signal);

/** A second of a tone. */
function aTone(frequencyHz: number, sampleRateHz: number): Float32Array {
  return Float32Array.from({ length: sampleRateHz }, (_, index) => Math.sin((2 * Math.PI * frequencyHz * index) / sampleRateHz));
}

/** The greatest difference between two sounds, their edges left out. */
function difference(one: Float32Array, two: Float32Array): number {
  let greatest = 0;
  for (let index = 500; index < one.length - 500; index++) greatest = Math.max(greatest, Math.abs((one[index] ?? 0) - (two[index] ?? 0)));
  return greatest;
}

describe('sound at another sample rate', () => {
  it.each([[8_000], [11_025], [22_050], [24_000], [32_000], [44_100], [48_000]])('of %d Hz is the same tone', async (sampleRateHz) => {
    const tone = await resampled(aTone(440, sampleRateHz), sampleRateHz, 16_000, turns);
    expect(tone).toHaveLength(16_000);
    expect(difference(tone, aTone(440, 16_000))).toBeLessThan(1e-4);
  });

  it('holds nothing that the lower rate cannot carry', async () => {
    const tone = await resampled(aTone(10_000, 48_000), 48_000, 16_000, turns);
    expect(difference(tone, new Float32Array(16_000))).toBeLessThan(1e-3);
  });

  it('stays as it is at the same rate', async () => {
    const tone = aTone(440, 16_000);
    expect(await resampled(tone, 16_000, 16_000, turns)).toBe(tone);
  });

  it('is nearly right for rates of no small ratio', async () => {
    const tone = await resampled(aTone(440, 44_101), 44_101, 16_000, turns);
    expect(tone).toHaveLength(16_000);
    expect(difference(tone, aTone(440, 16_000))).toBeLessThan(0.1);
  });
});

describe('the ratio of two rates', () => {
  it.each([
    [48_000, 16_000, 3, 1],
    [8_000, 16_000, 1, 2],
    [44_100, 16_000, 441, 160],
    [11_025, 16_000, 441, 640],
  ])('of %d and %d is %d to %d', (fromHz, toHz, from, to) => {
    expect(smallRatio(fromHz, toHz)).toEqual({ from, to });
  });

  it('is less than a thousandth beside the true one, and its numbers are small, for every rate', () => {
    for (let rate = 8_000; rate <= 48_000; rate += 7) {
      for (const wanted of [8_000, 16_000, 22_050]) {
        const { from, to } = smallRatio(rate, wanted);
        expect(to).toBeLessThanOrEqual(640);
        expect(Math.abs((from / to) * (wanted / rate) - 1)).toBeLessThan(1e-3);
      }
    }
  });
});
