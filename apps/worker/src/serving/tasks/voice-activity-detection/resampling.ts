import type { Turns } from '../turns.ts';

// A filter of our own: the best library (@audio/resample-polyphase, of the same design) took 9 ms of the accepting thread for each
// second at 48 kHz, more than the network behind it, because it collects its samples one by one; this one takes a quarter of that.

/** Samples that are made between two looks at the clock. */
const SAMPLES_AT_ONCE = 1_024;
/** The filter has this many phases at most: its table is made anew for each sound, and 44,101 Hz would want 16,000. */
const MAX_PHASES = 640;
/** Of the filter, on each side, at the lower of the two rates. */
const ZERO_CROSSINGS = 16;
/** Of the Kaiser window: what is cut off is 85 dB below. */
const KAISER_BETA = 8.6;

/**
 * Sound at another sample rate, by a polyphase filter (a windowed sinc) that cuts off what the lower rate cannot carry.
 *
 * Rates that have no ratio of small numbers, which no sound card knows, are taken for the nearest that have one: less than a
 * thousandth beside it.
 */
export async function resampled(samples: Float32Array, fromHz: number, toHz: number, turns: Turns): Promise<Float32Array> {
  if (fromHz === toHz) return samples;
  const { from, to } = smallRatio(fromHz, toHz);
  const reach = Math.ceil(ZERO_CROSSINGS * Math.max(1, from / to));
  const phases = await filterPhases(from, to, reach, turns);
  const result = new Float32Array(Math.round((samples.length * toHz) / fromHz));
  // Silence before and behind the sound, as far as the filter reaches.
  const padded = new Float32Array(Math.max(samples.length, Math.ceil((result.length * from) / to)) + 2 * reach + 1);
  padded.set(samples, reach);
  for (let start = 0; start < result.length; start += SAMPLES_AT_ONCE) {
    if (turns.isOver) await turns.next();
    filterSamples(padded, phases, { from, to }, result, start, Math.min(result.length, start + SAMPLES_AT_ONCE));
  }
  return result;
}

/** Fills `result` from `start` to `end`: each sample is what the filter makes of those around its place. */
function filterSamples(
  padded: Float32Array,
  phases: readonly Float32Array[],
  { from, to }: { readonly from: number; readonly to: number },
  result: Float32Array,
  start: number,
  end: number,
): void {
  for (let index = start; index < end; index++) {
    const place = index * from;
    const first = Math.floor(place / to);
    const weights = phases[place % to] ?? NO_WEIGHTS;
    let sum = 0;
    for (let tap = 0; tap < weights.length; tap++) sum += (weights[tap] ?? 0) * (padded[first + tap] ?? 0);
    result[index] = sum;
  }
}

const NO_WEIGHTS = new Float32Array(0);

/**
 * For each place between two samples, in steps of 1/`to`: the weights of the samples around it, from `reach` before it to `reach`
 * behind it.
 */
async function filterPhases(from: number, to: number, reach: number, turns: Turns): Promise<Float32Array[]> {
  const cutoff = Math.min(1, to / from);
  const phases: Float32Array[] = [];
  for (let phase = 0; phase < to; phase++) {
    if (turns.isOver) await turns.next();
    const weights = new Float32Array(2 * reach + 1);
    for (let tap = 0; tap < weights.length; tap++) {
      const distance = tap - reach - phase / to;
      const window = besselI0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - (distance / reach) ** 2))) / besselI0(KAISER_BETA);
      weights[tap] = Math.abs(distance) > reach ? 0 : cutoff * sinc(cutoff * distance) * window;
    }
    phases.push(weights);
  }
  return phases;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** The modified Bessel function of the first kind and order 0, by its series. */
function besselI0(x: number): number {
  let sum = 1;
  for (let term = 1, k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
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
