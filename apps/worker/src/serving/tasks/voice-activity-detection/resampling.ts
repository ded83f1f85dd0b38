import { stream } from '@audio/resample-polyphase';
import type { Turns } from '../turns.ts';

/** Samples that are resampled at once: at most two milliseconds' work. */
const SAMPLES_AT_ONCE = 2_048;
/** The filter has this many phases at most: its table is made anew for each sound, and 44,101 Hz would want 16,000. */
const MAX_PHASES = 640;

/**
 * Sound at another sample rate, by a polyphase filter that cuts off what the lower rate cannot carry.
 *
 * Rates that have no ratio of small numbers, which no sound card knows, are taken for the nearest that have one: less than a
 * thousandth beside it.
 */
export async function resampled(samples: Float32Array, fromHz: number, toHz: number, turns: Turns): Promise<Float32Array> {
  if (fromHz === toHz) return samples;
  const filter = stream(smallRatio(fromHz, toHz));
  const result = new Float32Array(Math.round((samples.length * toHz) / fromHz));
  let length = 0;
  const append = (piece: Float32Array): void => {
    const fitting = piece.subarray(0, result.length - length);
    result.set(fitting, length);
    length += fitting.length;
  };
  for (let at = 0; at < samples.length; at += SAMPLES_AT_ONCE) {
    if (turns.isOver) await turns.next();
    append(filter.write(samples.subarray(at, at + SAMPLES_AT_ONCE)));
  }
  append(filter.flush());
  return result;
}

/** The ratio of two rates, `from` to `to`, in the numbers that are nearest to it with `to` at most `MAX_PHASES`. */
export function smallRatio(fromHz: number, toHz: number): { readonly from: number; readonly to: number } {
  // Along the continued fraction; where its next step is too far, a part of that step may still be nearer.
  let before = { from: 1, to: 0 };
  let current = { from: Math.floor(fromHz / toHz), to: 1 };
  const along = (steps: number) => ({ from: steps * current.from + before.from, to: steps * current.to + before.to });
  const error = ({ from, to }: { from: number; to: number }): number => Math.abs(from / to - fromHz / toHz);
  for (let [numerator, denominator] = [toHz, fromHz % toHz]; denominator !== 0;) {
    const steps = Math.floor(numerator / denominator);
    const next = along(steps);
    if (next.to > MAX_PHASES) {
      const part = along(Math.floor((MAX_PHASES - before.to) / current.to));
      return error(part) < error(current) ? part : current;
    }
    [before, current] = [current, next];
    [numerator, denominator] = [denominator, numerator % denominator];
  }
  return current;
}
