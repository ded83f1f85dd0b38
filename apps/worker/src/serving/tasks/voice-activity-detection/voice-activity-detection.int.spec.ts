import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { linearNetwork, onnxModel } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { SequenceStore, sequenceOf } from '../sequences.ts';
import { openPackage, outputOf, type OpenPackage, type SpecCallOptions } from '../task-call.fixture.ts';
import type { TaskAnswer } from '../task.ts';
import { Turns } from '../turns.ts';
import { resampled } from './resampling.ts';
import { monoSamples, readWaveFile } from './wave-file.ts';
import { aWaveFile, type WaveOptions } from './wave.fixture.ts';

/** Silero VAD: 512 samples a frame at 16 kHz, behind 64 of the frame before. */
const SILERO = fileURLToPath(new URL('../../../../../../models/voice-activity/', import.meta.url));
const FRAME = 512;
const RATE_HZ = 16_000;
const turns = new Turns(new AbortController().signal);

let model: OpenPackage;
/** A person says "He was not an ill-disposed young man." */
let speech: Float32Array;
/** Two seconds of noise. */
let noise: Float32Array;
let directory: string;

beforeAll(async () => {
  model = await openPackage(SILERO, 'voice-activity-detection');
  const example = async (name: string) => monoSamples(readWaveFile(await readFile(`${SILERO}examples/${name}.wav`)), turns);
  [speech, noise] = [await example('speech'), await example('noise')];
  directory = await mkdtemp(join(tmpdir(), 'weir-voice-'));
});

afterAll(async () => {
  await model.close();
  await rm(directory, { recursive: true, force: true });
});

type ListenOptions = SpecCallOptions & { parameters?: Record<string, unknown> };

function listen(file: Buffer, options: ListenOptions = {}, on: OpenPackage = model): Promise<TaskAnswer> {
  return on.infer([{ name: 'audio', datatype: 'BYTES', shape: [1], data: [file.toString('base64')] }], options);
}

const hear = (samples: Float32Array, wave: WaveOptions = {}, options: ListenOptions = {}): Promise<TaskAnswer> =>
  listen(aWaveFile(samples, { format: 'float32', ...wave }), options);

const probabilitiesOf = (answer: TaskAnswer): number[] => Array.from(outputOf(answer, 'probability').data, Number);

function segmentsOf(answer: TaskAnswer): [number, number][] {
  const [starts, ends] = ['start', 'end'].map((name) => Array.from(outputOf(answer, name).data, Number));
  return (starts ?? []).map((start, index) => [start, ends?.[index] ?? 0]);
}

function joined(...parts: readonly Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]));
}

const floatsOf = (tensor: OnnxTensor | undefined): number[] => (tensor?.data instanceof Float32Array ? [...tensor.data] : []);

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/** Hears sounds as calls of one sequence, as the edge does it. */
async function inSequence(pieces: readonly Float32Array[]): Promise<TaskAnswer[]> {
  const store = new SequenceStore({ maxSequences: 1, maxBytes: 1_000_000, idleMs: 60_000, maxWaiting: 0 });
  const answers: TaskAnswer[] = [];
  for (const [index, piece] of pieces.entries()) {
    const parameters = { sequence_id: 'talk', sequence_start: index === 0, sequence_end: index === pieces.length - 1 };
    const call = sequenceOf(parameters);
    if (call === null) throw new Error('the parameters name a sequence');
    const owner = { tenantId: 'acme', versionId: 'v1' };
    answers.push(await store.use(owner, call, new AbortController().signal, (sequence) => hear(piece, {}, { parameters, sequence })));
  }
  expect(store.size).toBe(0);
  return answers;
}

describe('speech in sound', () => {
  it('is found where somebody speaks, and nowhere in noise', async () => {
    const answer = await hear(joined(noise, speech, noise));
    const [start, end] = [noise.length / RATE_HZ, (noise.length + speech.length) / RATE_HZ];
    const segments = segmentsOf(answer);
    expect(segments.length).toBeGreaterThan(0);
    expect(segments[0]?.[0]).toBeGreaterThan(start - 0.1);
    expect(segments.at(-1)?.[1]).toBeLessThan(end + 0.2);
    const spoken = segments.reduce((sum, [from, to]) => sum + to - from, 0);
    expect(spoken).toBeGreaterThan(1);
    expect(segmentsOf(await hear(noise))).toEqual([]);
    expect(Math.max(...probabilitiesOf(await hear(noise)))).toBeLessThan(0.2);
    const seconds = Math.ceil((noise.length * 2 + speech.length) / 16) / 1000;
    expect(answer.usage).toEqual({ inputs: 1, 'input-tokens': 0, 'audio-seconds': seconds });
  });

  it('has a probability for each frame, the last one filled up with silence', async () => {
    expect(probabilitiesOf(await hear(speech.subarray(0, FRAME * 10)))).toHaveLength(10);
    expect(probabilitiesOf(await hear(speech.subarray(0, FRAME * 10 + 1)))).toHaveLength(11);
    expect(probabilitiesOf(await hear(speech.subarray(0, 1)))).toHaveLength(1);
  });

  it('is what the network says when it is run frame by frame, with the samples before and the state that it left', async () => {
    const before = model.runs.length;
    await hear(speech.subarray(0, FRAME * 3));
    const [first, second] = model.runs.slice(before);
    expect(first?.feeds.map(({ name, dims }) => [name, dims])).toEqual([
      ['input', [1, 64 + FRAME]],
      ['sr', []],
      ['state', [2, 1, 128]],
    ]);
    expect(floatsOf(first?.feeds[0]).slice(0, 65)).toEqual([...Array.from({ length: 64 }, () => 0), speech[0]]);
    expect(floatsOf(second?.feeds[0])).toEqual([...speech.subarray(FRAME - 64, FRAME * 2)]);
    expect(floatsOf(first?.feeds[2]).every((number) => number === 0)).toBe(true);
    expect(floatsOf(second?.feeds[2]).some((number) => number !== 0)).toBe(true);
  });

  it.each([[8_000], [22_050], [44_100], [48_000]])('is heard the same at %d Hz', async (sampleRateHz) => {
    const other = await resampled(speech, RATE_HZ, sampleRateHz, turns);
    const [here, there] = [probabilitiesOf(await hear(speech)), probabilitiesOf(await hear(other, { sampleRateHz }))];
    expect(Math.abs(here.length - there.length)).toBeLessThanOrEqual(1);
    const differences = here.slice(0, there.length).map((probability, frame) => Math.abs(probability - (there[frame] ?? 0)));
    expect(mean(differences)).toBeLessThan(sampleRateHz < RATE_HZ ? 0.1 : 0.02);
  });

  it.each([['int16'], ['int24'], ['int32']] as const)('is heard the same in two channels of %s', async (format) => {
    const stereo = Float32Array.from({ length: speech.length * 2 }, (_, index) => speech[index >> 1] ?? 0);
    const [here, there] = [probabilitiesOf(await hear(speech)), probabilitiesOf(await hear(stereo, { channels: 2, format }))];
    expect(there).toHaveLength(here.length);
    expect(mean(here.map((probability, frame) => Math.abs(probability - (there[frame] ?? 0))))).toBeLessThan(0.01);
  });

  it('is what the caller takes for speech, by its threshold', async () => {
    expect(segmentsOf(await hear(speech, {}, { parameters: { threshold: 1 } }))).toEqual([]);
    await expect(hear(speech, {}, { parameters: { threshold: 2 } })).rejects.toMatchObject({ field: 'parameters.threshold' });
  });
});

describe('sound in pieces of a sequence', () => {
  it('gives the same probabilities and the same speech as in one piece, wherever it was cut', async () => {
    const sound = joined(noise.subarray(0, 10_000), speech, noise.subarray(0, 12_345));
    const whole = await hear(sound);
    for (const cuts of [[FRAME * 20], [1, 2, 700, 20_000], [12_000, 24_000, 36_000]]) {
      const pieces = [0, ...cuts].map((from, index) => sound.subarray(from, cuts[index] ?? sound.length));
      const answers = await inSequence(pieces);
      expect(answers.flatMap(probabilitiesOf)).toEqual(probabilitiesOf(whole));
      expect(answers.flatMap(segmentsOf)).toEqual(segmentsOf(whole));
    }
  });

  it('may be too short for a frame: nothing is said of it before there is more', async () => {
    const [short, long] = await inSequence([speech.subarray(0, 100), speech.subarray(100, FRAME)]);
    expect(short === undefined ? null : outputOf(short, 'probability').shape).toEqual([0]);
    expect(long === undefined ? null : outputOf(long, 'probability').shape).toEqual([1]);
  });
});

describe('sound is refused', () => {
  it.each([
    ['that is no base64', 'no sound!', 'audio is not base64'],
    ['that is no WAV file', Buffer.from('OggS and so on').toString('base64'), 'audio is not a WAV file'],
  ])('%s', async (_, item, message) => {
    const call = model.infer([{ name: 'audio', datatype: 'BYTES', shape: [1], data: [item] }]);
    await expect(call).rejects.toMatchObject({ code: 'model.audio_invalid', field: 'inputs[0].data[0]', message });
  });

  it('that lasts longer than a call may hold, before it is looked at any further', async () => {
    const before = model.runs.length;
    await expect(hear(new Float32Array(RATE_HZ * 2), {}, { limits: { maxAudioSeconds: 1 } })).rejects.toMatchObject({
      code: 'model.audio_invalid',
      message: 'audio lasts 2.0 seconds, at most 1 are allowed',
    });
    expect(model.runs).toHaveLength(before);
  });

  it('when there are two of it', async () => {
    const file = aWaveFile(speech.subarray(0, FRAME)).toString('base64');
    await expect(model.infer([{ name: 'audio', datatype: 'BYTES', shape: [2], data: [file, file] }])).rejects.toMatchObject({
      code: 'request.too_large',
      field: 'inputs[0].shape',
    });
  });

  it('and left when the caller has gone', async () => {
    const gone = new AbortController();
    gone.abort(new Error('the caller has gone'));
    await expect(hear(speech, {}, { signal: gone.signal })).rejects.toThrow('the caller has gone');
  });
});

describe('a package that listens', () => {
  async function aPackage(network: Buffer, weir: object): Promise<string> {
    const folder = await mkdtemp(join(directory, 'package-'));
    await writeFile(join(folder, 'model.onnx'), network);
    await writeFile(join(folder, 'weir.json'), JSON.stringify(weir));
    return folder;
  }

  const audio = { sampleRateHz: RATE_HZ, frameSamples: 4 };

  it('may have neither a state nor an input for the sample rate', async () => {
    const network = onnxModel({
      inputs: [{ name: 'x', dims: ['batch', 4] }],
      outputs: [{ name: 'loudness', dims: ['batch', 1] }],
      nodes: [
        { operator: 'Abs', inputs: ['x'], outputs: ['sizes'] },
        { operator: 'ReduceMax', inputs: ['sizes'], outputs: ['loudness'], attributes: { axes: { ints: [1] } } },
      ],
    });
    const loudness = await openPackage(await aPackage(network, { audio }), 'voice-activity-detection');
    try {
      const answer = await listen(aWaveFile([0, 0.25, 0, 0, 0.5, -0.75], { format: 'float32' }), {}, loudness);
      expect(probabilitiesOf(answer)).toEqual([0.25, 0.75]);
    } finally {
      await loudness.close();
    }
  });

  it.each([
    ['without saying how', linearNetwork({ inputs: 4, outputs: 1 }), {}, 'needs the section "audio"'],
    ['with frames of another size', linearNetwork({ inputs: 5, outputs: 1 }), { audio }, 'one input FP32 [batch, 4]'],
  ])('%s is refused', async (_, network, weir, message) => {
    await expect(openPackage(await aPackage(network, weir), 'voice-activity-detection')).rejects.toMatchObject({
      code: 'model.package_invalid',
      message: expect.stringContaining(message),
    });
  });
});
