/** How a WAV file is written; each part may lie about the rest. */
export interface WaveOptions {
  readonly sampleRateHz?: number;
  readonly channels?: number;
  readonly format?: 'int16' | 'int24' | 'int32' | 'float32';
  /** The number of the format, where it is not that of the samples. */
  readonly code?: number;
  readonly bits?: number;
  readonly frameBytes?: number;
  readonly isExtensible?: boolean;
  /** What the head says of the samples, in bytes. */
  readonly dataBytes?: number;
  readonly fileBytes?: number;
  /** Parts that stand between the format and the samples. */
  readonly between?: Buffer;
}

/**
 * A WAV file.
 *
 * @param samples -1 to 1, of one channel after the other at each moment
 */
export function aWaveFile(samples: ArrayLike<number>, options: WaveOptions = {}): Buffer {
  const { sampleRateHz = 16_000, channels = 1, format = 'int16', isExtensible = false, between = Buffer.alloc(0) } = options;
  const bytes = { int16: 2, int24: 3, int32: 4, float32: 4 }[format];
  const { bits = bytes * 8, frameBytes = bytes * channels, code = format === 'float32' ? 3 : 1 } = options;
  const data = Buffer.alloc(samples.length * bytes);
  for (let index = 0; index < samples.length; index++) writeSample(data, index * bytes, format, samples[index] ?? 0);
  const head = Buffer.alloc(isExtensible ? 40 : 16);
  head.writeUInt16LE(isExtensible ? 0xff_fe : code, 0);
  head.writeUInt16LE(channels, 2);
  head.writeUInt32LE(sampleRateHz, 4);
  head.writeUInt32LE((sampleRateHz * frameBytes) >>> 0, 8);
  head.writeUInt16LE(frameBytes, 12);
  head.writeUInt16LE(bits, 14);
  if (isExtensible) {
    head.writeUInt16LE(22, 16);
    head.writeUInt16LE(bits, 18);
    head.writeUInt16LE(code, 24);
  }
  const content = Buffer.concat([aWavePart('fmt ', head), between, aWavePart('data', data, options.dataBytes)]);
  const riff = Buffer.alloc(12);
  riff.write('RIFF', 0, 'latin1');
  riff.writeUInt32LE(options.fileBytes ?? content.length + 4, 4);
  riff.write('WAVE', 8, 'latin1');
  return Buffer.concat([riff, content]);
}

/** One part of a WAV file; parts of odd length are filled up with a byte. */
export function aWavePart(name: string, content: Buffer, claimedBytes = content.length): Buffer {
  const frame = Buffer.alloc(8);
  frame.write(name, 0, 'latin1');
  frame.writeUInt32LE(claimedBytes, 4);
  return Buffer.concat([frame, content, Buffer.alloc(content.length % 2)]);
}

function writeSample(data: Buffer, at: number, format: NonNullable<WaveOptions['format']>, sample: number): void {
  if (format === 'float32') data.writeFloatLE(sample, at);
  else {
    const bytes = { int16: 2, int24: 3, int32: 4 }[format];
    const most = 2 ** (bytes * 8 - 1);
    data.writeIntLE(Math.max(-most, Math.min(most - 1, Math.round(sample * most))), at, bytes);
  }
}
