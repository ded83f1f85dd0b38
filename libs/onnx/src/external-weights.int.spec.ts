import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import onnxruntime from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ByteSource } from './byte-source.ts';
import { externaliseWeights } from './external-weights.ts';
import { createFileSink } from './file-sink.ts';
import { openFileSource } from './file-source.ts';
import { largeFile } from './large-file.fixture.ts';

const { InferenceSession, Tensor } = onnxruntime;
const SESSION_MEMORY = fileURLToPath(new URL('session-memory.fixture.ts', import.meta.url));
const MIB = 1_048_576;

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-external-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Path of the model with its weights beside it. */
async function externalised(name: string, source: ByteSource, thresholdBytes: number): Promise<string> {
  const path = join(directory, `${name}.onnx`);
  const weightsFile = `${name}.bin`;
  const network = await createFileSink(path);
  const weights = await createFileSink(join(directory, weightsFile));
  await externaliseWeights(source, 'model.onnx', { network, weights, weightsFile }, thresholdBytes);
  await Promise.all([network.close(), weights.close()]);
  return path;
}

describe('a model whose weights were moved out of it', () => {
  it.each([
    ['digits', { pixel_values: numbers([2, 1, 28, 28]) }],
    ['emoji-group', { pixel_values: numbers([2, 3, 32, 32]) }],
    ['sentiment', { input_ids: integers([2, 9]), attention_mask: integers([2, 9]), token_type_ids: integers([2, 9]) }],
    ['voice-activity', { input: numbers([1, 576]), state: numbers([2, 1, 128]), sr: new Tensor('int64', [16_000n], []) }],
  ])('answers bit for bit as before: %s', async (name, feeds) => {
    const original = fileURLToPath(new URL(`../../../models/${name}/onnx/model.onnx`, import.meta.url));
    const source = await openFileSource(original);
    const moved = await externalised(name, source, 512);
    await source.close();
    const answers = [];
    for (const path of [original, moved]) {
      const session = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 4 });
      const wanted = Object.fromEntries(Object.entries(feeds).filter(([input]) => session.inputNames.includes(input)));
      answers.push(Object.entries(await session.run(wanted)).map(([output, { dims, data }]) => [output, dims, data]));
      await session.release();
    }
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[0]?.length).toBeGreaterThan(0);
  });

  it('takes at most 1.1 times its weights of memory for each further session', async () => {
    const [small, large] = [
      await externalised('small', largeFile(4, 1_024), 65_536),
      await externalised('large', largeFile(32, 1_024), 65_536),
    ];
    // What a thread and a session cost without weights is in both.
    const [smallBytes, largeBytes] = [await secondSessionBytes(small), await secondSessionBytes(large)];
    const weightBytes = (32 - 4) * 4 * MIB;
    expect((largeBytes - smallBytes) / weightBytes).toBeLessThanOrEqual(1.1);
  });
});

/** What the resident memory of a process grows by when a second thread loads and runs the model. */
async function secondSessionBytes(path: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [SESSION_MEMORY, path]);
  return Number(stdout);
}

function numbers(dims: readonly number[]): InstanceType<typeof Tensor> {
  return new Tensor(
    'float32',
    Float32Array.from({ length: elements(dims) }, (_, index) => Math.sin(index)),
    dims,
  );
}

function integers(dims: readonly number[]): InstanceType<typeof Tensor> {
  return new Tensor(
    'int64',
    BigInt64Array.from({ length: elements(dims) }, () => 1n),
    dims,
  );
}

function elements(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}
