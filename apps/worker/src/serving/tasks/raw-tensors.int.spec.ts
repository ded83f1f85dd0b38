import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DATATYPES, type Datatype } from '@weir/open-inference';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelRuntime } from '../runtime/model-runtime.ts';
import { anOnnxModel } from '../runtime/onnx-model.fixture.ts';
import { runTensors } from './raw-tensors.ts';
import { signatureOf } from './signature.ts';

let directory: string;
let runtime: ModelRuntime;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-tensors-'));
  runtime = new ModelRuntime({
    queueLength: 4,
    intraOpThreads: 1,
    runLimitMs: 60_000,
    die: (reason) => {
      throw new Error(reason);
    },
  });
});

afterAll(async () => {
  await runtime.close();
  await rm(directory, { recursive: true, force: true });
});

/** What a caller gets, as text: the digits matter. */
async function answerOf(operation: 'Identity' | 'Mul', datatype: Datatype, data: readonly unknown[]): Promise<string> {
  const versionId = `${operation}-${datatype}`;
  const modelFile = join(directory, `${versionId}.onnx`);
  await writeFile(modelFile, anOnnxModel(operation, datatype));
  const signature = signatureOf(await runtime.load(versionId, modelFile, null));
  const modelPackage = { task: 'tensors' as const, modelFile, labels: [], isMultiLabel: false, image: null, text: null };
  const call = {
    version: { versionId, modelPackage, signature },
    runtime,
    limits: { maxItems: 1, maxTextCharacters: 1, maxImagePixels: 1 },
    signal: new AbortController().signal,
    parameters: {},
  };
  try {
    const { outputs } = await runTensors(call, [{ name: 'x', datatype, shape: [data.length], data }], []);
    expect(outputs[0]).toMatchObject({ name: 'y', datatype, shape: [data.length] });
    return JSON.stringify(outputs[0]?.data);
  } finally {
    await runtime.unload(versionId);
  }
}

/** The ends of each datatype, and what lies oddly between them. */
const ELEMENTS: Readonly<Record<Datatype, readonly unknown[]>> = {
  BOOL: [true, false],
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 4_294_967_295],
  UINT64: [0, Number.MAX_SAFE_INTEGER],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  FP16: [65_504, -65_504, 5.960_464_477_539_063e-8, 0.5, 0],
  FP32: [3.402_823_466_385_288_6e38, 1.401_298_464_324_817e-45, -0.5],
  FP64: [Number.MAX_VALUE, Number.MIN_VALUE, 0.1],
  BYTES: ['', 'ä 日本語 🙂', '\u0001"\\'],
};

describe('raw tensors', () => {
  it.each(DATATYPES.map((datatype) => [datatype]))('of datatype %s pass ONNX Runtime and come back as they were sent', async (datatype) => {
    expect(await answerOf('Identity', datatype, ELEMENTS[datatype])).toBe(JSON.stringify(ELEMENTS[datatype]));
  });

  it.each<[Datatype]>([['INT64'], ['FP16'], ['BOOL']])('of datatype %s may be empty', async (datatype) => {
    expect(await answerOf('Identity', datatype, [])).toBe('[]');
  });

  it('give integers beyond 2^53 with all their digits', async () => {
    expect(await answerOf('Mul', 'INT64', [3_037_000_499])).toBe('[9223372030926249001]');
    expect(await answerOf('Mul', 'UINT64', [4_294_967_295])).toBe('[18446744065119617025]');
  });

  it('are counted in half precision, and refused where it runs over', async () => {
    expect(await answerOf('Mul', 'FP16', [0.1])).toBe('[0.0099945068359375]');
    await expect(answerOf('Mul', 'FP16', [60_000])).rejects.toMatchObject({ code: 'model.input_invalid' });
  });
});
