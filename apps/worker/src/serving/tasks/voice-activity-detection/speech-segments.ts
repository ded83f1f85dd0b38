// Which stretches of sound are speech, as Silero's `get_speech_timestamps` decides it from the probability of each frame.

/** Speech goes on while the probability is above the threshold less this. */
const HYSTERESIS = 0.15;
const LEAST_THRESHOLD = 0.01;
/** Shorter speech is none. */
const LEAST_SPEECH_SECONDS = 0.25;
/** A shorter silence is part of the speech around it. */
const LEAST_SILENCE_SECONDS = 0.1;
/** Put before and behind speech, so that soft sounds at its edges are not lost. */
const EDGE_SECONDS = 0.03;

/** Seconds since the beginning of the sound. */
export interface SpeechSegment {
  readonly start: number;
  readonly end: number;
}

/** Where a sound stands between two frames; counts of frames. */
export interface SpeechProgress {
  readonly frames: number;
  /** Frame at which the speech began that goes on; -1 when nobody speaks. */
  readonly speechStart: number;
  /** Frame at which the silence began that may end it; -1 when there is none. */
  readonly silenceStart: number;
}

export const NOTHING_HEARD: SpeechProgress = { frames: 0, speechStart: -1, silenceStart: -1 };

/** Finds speech frame by frame. */
export class SpeechFinder {
  readonly #frameSeconds: number;
  readonly #threshold: number;
  #frames: number;
  #speechStart: number;
  #silenceStart: number;

  /** @param threshold of the probability, from 0 to 1 */
  constructor(frameSeconds: number, threshold: number, { frames, speechStart, silenceStart }: SpeechProgress = NOTHING_HEARD) {
    this.#frameSeconds = frameSeconds;
    this.#threshold = threshold;
    this.#frames = frames;
    this.#speechStart = speechStart;
    this.#silenceStart = silenceStart;
  }

  get progress(): SpeechProgress {
    return { frames: this.#frames, speechStart: this.#speechStart, silenceStart: this.#silenceStart };
  }

  /** Hears the next frame; the speech that is over since then, if there is any. */
  hear(probability: number): SpeechSegment | null {
    const frame = this.#frames++;
    if (probability >= this.#threshold) {
      this.#silenceStart = -1;
      if (this.#speechStart < 0) this.#speechStart = frame;
      return null;
    }
    if (this.#speechStart < 0 || probability >= Math.max(LEAST_THRESHOLD, this.#threshold - HYSTERESIS)) return null;
    if (this.#silenceStart < 0) this.#silenceStart = frame;
    if ((frame - this.#silenceStart) * this.#frameSeconds < LEAST_SILENCE_SECONDS) return null;
    return this.#close(this.#silenceStart * this.#frameSeconds, Infinity);
  }

  /** The speech that goes on when the sound ends after `seconds`, if there is any. */
  end(seconds: number): SpeechSegment | null {
    return this.#speechStart < 0 ? null : this.#close(seconds, seconds);
  }

  #close(end: number, limit: number): SpeechSegment | null {
    const start = this.#speechStart * this.#frameSeconds;
    this.#speechStart = -1;
    this.#silenceStart = -1;
    if (end - start <= LEAST_SPEECH_SECONDS) return null;
    return { start: Math.max(0, start - EDGE_SECONDS), end: Math.min(limit, end + EDGE_SECONDS) };
  }
}
