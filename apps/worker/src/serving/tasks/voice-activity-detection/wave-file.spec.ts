import { describe, expect, it } from 'vitest';
import { Turns } from '../turns.ts';
import { monoSamples, readWaveFile } from './wave-file.ts';
import { aWaveFile, aWavePart } from './wave.fixture.ts';

const turns = new Turns(new AbortController().signal);
const samples = [0, 0.5, -0.5, 0.999, -1];

const read = (bytes: Buffer): Promise<Float32Array> => monoSamples(readWaveFile(bytes), turns);

function refusal(bytes: Buffer): unknown {
  try {
    readWaveFile(bytes);
  } catch (error) {
    return error;
  }
  return 'it was read';
}

describe('a WAV file', () => {
  it.each([['int16'], ['int24'], ['int32'], ['float32']] as const)('with samples of %s is read', async (format) => {
    for (const isExtensible of [false, true]) {
      const numbers = await read(aWaveFile(samples, { format, isExtensible }));
      expect(numbers).toHaveLength(samples.length);
      for (const [index, sample] of samples.entries()) expect(numbers[index]).toBeCloseTo(sample, 4);
    }
  });

  it('with several channels is the mean of them', async () => {
    expect(Array.from(await read(aWaveFile([0.5, -0.5, 0.25, 0.75, 1, 0], { channels: 2, format: 'float32' })))).toEqual([0, 0.5, 0.5]);
    const { channels, length, sampleRateHz } = readWaveFile(
      aWaveFile(
        Array.from({ length: 60 }, () => 0),
        { channels: 6, sampleRateHz: 48_000 },
      ),
    );
    expect({ channels, length, sampleRateHz }).toEqual({ channels: 6, length: 10, sampleRateHz: 48_000 });
  });

  it('may have other parts between its head and its samples, of odd length too', async () => {
    const between = Buffer.concat([aWavePart('LIST', Buffer.from('INFO.')), aWavePart('fact', Buffer.alloc(4))]);
    expect(await read(aWaveFile(samples, { between }))).toHaveLength(samples.length);
  });

  it.each([
    ['from a pipe, whose sizes are unknown', aWaveFile(samples, { fileBytes: 0xffff_ffff, dataBytes: 0xffff_ffff })],
    [
      'from a pipe, cut off in a frame',
      Buffer.concat([aWaveFile(samples, { fileBytes: 0xffff_ffff, dataBytes: 0xffff_ffff }), Buffer.from([1])]),
    ],
    ['of a recording that was never finished', aWaveFile(samples, { fileBytes: 0, dataBytes: 0 })],
    ['of a recording whose head alone was written', aWaveFile(samples, { fileBytes: 36, dataBytes: 0 })],
  ])('%s is read to the end of the file', async (_, bytes) => {
    expect(await read(bytes)).toEqual(await read(aWaveFile(samples)));
  });

  it('is read to its end where other bytes follow it', async () => {
    expect(await read(Buffer.concat([aWaveFile(samples), Buffer.from('ID3 and so on')]))).toHaveLength(samples.length);
  });
});

describe('a WAV file is refused', () => {
  const whole = aWaveFile(samples);

  it.each([
    ['that is a picture', Buffer.from('\x89PNG\r\n\x1a\n............'), 'audio is not a WAV file'],
    ['that is an MP3', Buffer.from('ID3\x04..............'), 'audio is not a WAV file'],
    ['that is empty', Buffer.alloc(0), 'audio is not a WAV file'],
    ['that is cut off', whole.subarray(0, -3), 'audio says that it has 54 bytes, and has 51'],
    [
      'whose samples are more than it has',
      aWaveFile(samples, { dataBytes: 0xffff_ffff }),
      'audio says that its part "data" has 4294967295 bytes, and has 10 left for it',
    ],
    ['that claims four gigabytes', aWaveFile(samples, { fileBytes: 0xffff_fff0 }), 'audio says that it has 4294967288 bytes, and has 54'],
    [
      'that ends before its samples',
      aWaveFile(samples, { fileBytes: 40 }),
      'audio says that its part "data" has 10 bytes, and has 4 left for it',
    ],
    ['without samples', aWaveFile([]), 'audio holds no samples'],
    ['without a part for samples', aWaveFile(samples, { fileBytes: 4 + 24 }), 'audio holds no samples'],
    ['that ends in a sample', aWaveFile(samples, { dataBytes: 9 }), 'audio ends in the middle of a sample: 9 bytes are no multiple of 2'],
    ['with half a moment', aWaveFile(samples, { channels: 2 }), 'audio ends in the middle of a sample: 10 bytes are no multiple of 4'],
    [
      'of telephone coding',
      aWaveFile(samples, { code: 6, bits: 8, frameBytes: 1 }),
      'audio has the format 6 with 8 bits; PCM of 16, 24 or 32 bits and 32-bit floats are read',
    ],
    [
      'of doubles',
      aWaveFile(samples, { code: 3, bits: 64 }),
      'audio has the format 3 with 64 bits; PCM of 16, 24 or 32 bits and 32-bit floats are read',
    ],
    ['without channels', aWaveFile(samples, { channels: 0 }), 'audio has 0 channels, 1 to 32 are read'],
    ['with a crowd of channels', aWaveFile(samples, { channels: 33 }), 'audio has 33 channels, 1 to 32 are read'],
    ['without a sample rate', aWaveFile(samples, { sampleRateHz: 0 }), 'audio has 0 samples a second, 8000 to 48000 are read'],
    ['for bats', aWaveFile(samples, { sampleRateHz: 192_000 }), 'audio has 192000 samples a second, 8000 to 48000 are read'],
    [
      'that lies about its moments',
      aWaveFile(samples, { frameBytes: 1 }),
      'audio says that the samples of one moment take 1 bytes, 1 of 16 bits take 2',
    ],
  ])('%s', (_, bytes, message) => {
    expect(refusal(bytes)).toMatchObject({ code: 'model.audio_invalid', field: 'inputs[0].data[0]', message });
  });

  it('with its samples before its head', () => {
    const [riff, head, data] = [whole.subarray(0, 12), whole.subarray(12, 36), whole.subarray(36)];
    expect(refusal(Buffer.concat([riff, data, head]))).toMatchObject({ message: 'audio says nothing about its samples before they come' });
  });

  it('with a head that is too short', () => {
    const short = Buffer.concat([whole.subarray(0, 12), aWavePart('fmt ', Buffer.alloc(14)), whole.subarray(36)]);
    expect(refusal(short.fill(44, 4, 5))).toMatchObject({ message: 'audio has a format part of 14 bytes, at least 16 are needed' });
  });

  it('with floats that are no numbers', async () => {
    for (const sample of [Number.NaN, Infinity])
      await expect(read(aWaveFile([0, sample], { format: 'float32' }))).rejects.toMatchObject({
        code: 'model.audio_invalid',
        message: 'audio holds samples that are no numbers',
      });
  });
});
