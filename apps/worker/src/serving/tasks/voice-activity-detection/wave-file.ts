import { AppError } from '@weir/kernel';
import type { Turns } from '../turns.ts';

// WAV files are read here and not by a library: those that exist make all samples of all channels at once, which holds the thread,
// and look for what is wrong with a file too late, or not at all.

/** Formats of samples by their number in the file. */
const PCM = 1;
const FLOAT = 3;
/** The number stands further behind. */
const EXTENSIBLE = 0xff_fe;

const MIN_SAMPLE_RATE_HZ = 8_000;
const MAX_SAMPLE_RATE_HZ = 48_000;
const MAX_CHANNELS = 32;
/** Size that a program writes which does not know yet how much will follow, such as ffmpeg into a pipe. */
const UNKNOWN_SIZE = 0xffff_ffff;
/** Samples that are read between two looks at the clock. */
const SAMPLES_AT_ONCE = 16_384;

/** What a WAV file says of itself, and its samples as they stand in it. */
export interface WaveFile {
  readonly sampleRateHz: number;
  readonly channels: number;
  readonly format: 'int16' | 'int24' | 'int32' | 'float32';
  /** Channels interleaved, little-endian. */
  readonly data: Buffer;
  /** Samples of each channel. */
  readonly length: number;
}

/** The error of sound that cannot be used; `problem` continues "audio …". */
export function audioError(problem: string): AppError {
  return new AppError('model.audio_invalid', { field: 'inputs[0].data[0]', message: `audio ${problem}` });
}

/**
 * Reads the head of a WAV file; the samples are decoded when they are needed. Where the file was streamed, or its recording was
 * never finished, its sizes are unknown (0xFFFFFFFF) or 0, and the samples reach to the end of the file.
 *
 * @throws model.audio_invalid when it is none, has another format than PCM of 16, 24 or 32 bits or 32-bit floats, or holds more or
 *   less than it says
 */
export function readWaveFile(bytes: Buffer): WaveFile {
  const tag = (at: number): string => bytes.toString('latin1', at, at + 4);
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') throw audioError('is not a WAV file');
  const riffBytes = bytes.readUInt32LE(4);
  const isStreamed = riffBytes === UNKNOWN_SIZE || riffBytes === 0;
  const end = isStreamed ? bytes.length : 8 + riffBytes;
  if (end > bytes.length) throw audioError(`says that it has ${end} bytes, and has ${bytes.length}`);
  let format: Omit<WaveFile, 'data' | 'length'> | null = null;
  for (let at = 12; at + 8 <= end;) {
    const name = tag(at);
    const size = bytes.readUInt32LE(at + 4);
    const start = at + 8;
    const isOpenEnded = name === 'data' && (size === UNKNOWN_SIZE ? isStreamed : size === 0 && (isStreamed || start === end));
    if (isOpenEnded && format !== null) return samplesOf(format, wholeFrames(format, bytes.subarray(start)));
    if (start + size > end)
      throw audioError(`says that its part ${JSON.stringify(name)} has ${size} bytes, and has ${end - start} left for it`);
    if (name === 'fmt ') format = formatOf(bytes.subarray(start, start + size));
    if (name === 'data') {
      if (format === null) throw audioError('says nothing about its samples before they come');
      return samplesOf(format, bytes.subarray(start, start + size));
    }
    at = start + size + (size % 2);
  }
  throw audioError('holds no samples');
}

function formatOf(head: Buffer): Omit<WaveFile, 'data' | 'length'> {
  if (head.length < 16) throw audioError(`has a format part of ${head.length} bytes, at least 16 are needed`);
  const named = head.readUInt16LE(0);
  const channels = head.readUInt16LE(2);
  const sampleRateHz = head.readUInt32LE(4);
  const frameBytes = head.readUInt16LE(12);
  const bits = head.readUInt16LE(14);
  const code = named === EXTENSIBLE && head.length >= 40 ? head.readUInt16LE(24) : named;
  const format = code === FLOAT && bits === 32 ? 'float32' : code === PCM ? integerFormat(bits) : null;
  if (format === null) throw audioError(`has the format ${code} with ${bits} bits; PCM of 16, 24 or 32 bits and 32-bit floats are read`);
  if (channels < 1 || channels > MAX_CHANNELS) throw audioError(`has ${channels} channels, 1 to ${MAX_CHANNELS} are read`);
  if (sampleRateHz < MIN_SAMPLE_RATE_HZ || sampleRateHz > MAX_SAMPLE_RATE_HZ)
    throw audioError(`has ${sampleRateHz} samples a second, ${MIN_SAMPLE_RATE_HZ} to ${MAX_SAMPLE_RATE_HZ} are read`);
  if (frameBytes !== (channels * bits) / 8)
    throw audioError(
      `says that the samples of one moment take ${frameBytes} bytes, ${channels} of ${bits} bits take ${(channels * bits) / 8}`,
    );
  return { sampleRateHz, channels, format };
}

function integerFormat(bits: number): WaveFile['format'] | null {
  switch (bits) {
    case 16:
      return 'int16';
    case 24:
      return 'int24';
    case 32:
      return 'int32';
    default:
      return null;
  }
}

const SAMPLE_BYTES = { int16: 2, int24: 3, int32: 4, float32: 4 } as const;

function samplesOf(format: Omit<WaveFile, 'data' | 'length'>, data: Buffer): WaveFile {
  const frameBytes = SAMPLE_BYTES[format.format] * format.channels;
  if (data.length === 0) throw audioError('holds no samples');
  if (data.length % frameBytes !== 0)
    throw audioError(`ends in the middle of a sample: ${data.length} bytes are no multiple of ${frameBytes}`);
  return { ...format, data, length: data.length / frameBytes };
}

/** Without the frame in the middle of which a stream was cut off. */
function wholeFrames({ format, channels }: Omit<WaveFile, 'data' | 'length'>, data: Buffer): Buffer {
  const frameBytes = SAMPLE_BYTES[format] * channels;
  return data.subarray(0, data.length - (data.length % frameBytes));
}

/**
 * The samples of a file, -1 to 1, the mean of its channels.
 *
 * @throws model.audio_invalid when one of its floats is no number
 */
export async function monoSamples({ data, format, channels, length }: WaveFile, turns: Turns): Promise<Float32Array> {
  const samples = new Float32Array(length);
  const read = READERS[format];
  const step = SAMPLE_BYTES[format];
  for (let start = 0; start < length; start += SAMPLES_AT_ONCE) {
    if (turns.isOver) await turns.next();
    const end = Math.min(length, start + SAMPLES_AT_ONCE);
    for (let index = start, at = start * channels * step; index < end; index++) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++, at += step) sum += read(data, at);
      samples[index] = sum / channels;
    }
    if (format === 'float32' && !samples.subarray(start, end).every(Number.isFinite)) throw audioError('holds samples that are no numbers');
  }
  return samples;
}

const READERS: Readonly<Record<WaveFile['format'], (data: Buffer, at: number) => number>> = {
  int16: (data, at) => data.readInt16LE(at) / 0x8000,
  int24: (data, at) => data.readIntLE(at, 3) / 0x80_0000,
  int32: (data, at) => data.readInt32LE(at) / 0x8000_0000,
  float32: (data, at) => data.readFloatLE(at),
};
