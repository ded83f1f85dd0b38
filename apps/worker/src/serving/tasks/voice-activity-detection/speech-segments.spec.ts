import { describe, expect, it } from 'vitest';
import { SpeechFinder, type SpeechSegment } from './speech-segments.ts';

/** Of each frame; ten of them in a second, so that a silence is as long as one frame. */
const FRAME_SECONDS = 0.1;

/** The speech in a sound whose frames have these probabilities. */
function speechIn(probabilities: readonly number[], frameSeconds = FRAME_SECONDS): SpeechSegment[] {
  const finder = new SpeechFinder(frameSeconds, 0.5);
  const found = probabilities.map((probability) => finder.hear(probability));
  return [...found, finder.end(probabilities.length * frameSeconds)].filter((segment) => segment !== null);
}

const repeated = (count: number, probability: number): number[] => Array.from({ length: count }, () => probability);
const rounded = (segments: readonly SpeechSegment[]): [number, number][] =>
  segments.map(({ start, end }) => [Math.round(start * 1000) / 1000, Math.round(end * 1000) / 1000]);

describe('speech', () => {
  it('begins a little before its first frame and ends a little behind its last', () => {
    expect(rounded(speechIn([...repeated(5, 0.1), ...repeated(5, 0.9), ...repeated(5, 0.1)]))).toEqual([[0.47, 1.03]]);
  });

  it('does not begin before the sound, nor end behind it', () => {
    expect(rounded(speechIn(repeated(10, 0.9)))).toEqual([[0, 1]]);
  });

  it('goes on while the probability stays near the threshold, and does not begin there', () => {
    expect(rounded(speechIn([...repeated(3, 0.4), ...repeated(5, 0.9), ...repeated(5, 0.36), ...repeated(5, 0.3)]))).toEqual([
      [0.27, 1.33],
    ]);
  });

  it('goes on over a silence that is shorter than a tenth of a second', () => {
    const frames = [...repeated(10, 0.9), ...repeated(3, 0), ...repeated(10, 0.9), ...repeated(5, 0), ...repeated(10, 0.9)];
    // Frames of 32 ms: three of them are 96 ms.
    expect(rounded(speechIn(frames, 0.032))).toEqual([
      [0, 0.766],
      [0.866, 1.216],
    ]);
  });

  it('that is shorter than a quarter of a second is none', () => {
    expect(speechIn([...repeated(2, 0.9), ...repeated(5, 0)])).toEqual([]);
    expect(rounded(speechIn([...repeated(3, 0.9), ...repeated(5, 0)]))).toEqual([[0, 0.33]]);
    expect(speechIn([...repeated(5, 0), ...repeated(2, 0.9)])).toEqual([]);
  });

  it('is the same when the sound is heard in pieces', () => {
    const frames = [...repeated(4, 0.2), ...repeated(20, 0.8), 0.1, 0.1, ...repeated(3, 0.7), ...repeated(9, 0.05), ...repeated(12, 0.9)];
    const whole = speechIn(frames, 0.032);
    for (const size of [1, 2, 7]) {
      const found: (SpeechSegment | null)[] = [];
      let progress = new SpeechFinder(0.032, 0.5).progress;
      for (let at = 0; at < frames.length; at += size) {
        const finder = new SpeechFinder(0.032, 0.5, progress);
        for (const frame of frames.slice(at, at + size)) found.push(finder.hear(frame));
        progress = finder.progress;
      }
      found.push(new SpeechFinder(0.032, 0.5, progress).end(frames.length * 0.032));
      expect(found.filter((segment) => segment !== null)).toEqual(whole);
    }
  });
});
