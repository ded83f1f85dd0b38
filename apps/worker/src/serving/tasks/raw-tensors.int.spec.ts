import { DATATYPES, encodeTensor, type Datatype, type RequestTensor } from '@weir/open-inference';
import { identityNetwork, runningSumNetwork, squareNetwork, type OnnxElementType } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { metadataOf } from './metadata.ts';
import { closeWrittenPackages, openWritten } from './package.fixture.ts';
import { outputOf, type OpenPackage } from './task-call.fixture.ts';
import type { SequenceState } from './task.ts';

afterEach(closeWrittenPackages);

const ELEMENT_TYPES: Readonly<Record<Datatype, OnnxElementType>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};

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

/** What a caller gets, as text: the digits matter. */
async function answerOf(network: typeof identityNetwork, datatype: Datatype, data: readonly unknown[]): Promise<string> {
  const model = await openWritten('tensors', { 'model.onnx': network({ type: ELEMENT_TYPES[datatype] }) });
  const output = outputOf(await model.infer([{ name: 'x', datatype, shape: [data.length], data }]), 'y');
  expect(output).toMatchObject({ datatype, shape: [data.length] });
  return JSON.stringify(encodeTensor(output).data);
}

describe('raw tensors', () => {
  it.each(DATATYPES.map((datatype) => [datatype]))('of datatype %s pass ONNX Runtime and come back as they were sent', async (datatype) => {
    expect(await answerOf(identityNetwork, datatype, ELEMENTS[datatype])).toBe(JSON.stringify(ELEMENTS[datatype]));
  });

  it.each<[Datatype]>([['INT64'], ['FP16'], ['BOOL']])('of datatype %s may be empty', async (datatype) => {
    expect(await answerOf(identityNetwork, datatype, [])).toBe('[]');
  });

  it('give integers beyond 2^53 with all their digits', async () => {
    expect(await answerOf(squareNetwork, 'INT64', [3_037_000_499])).toBe('[9223372030926249001]');
    expect(await answerOf(squareNetwork, 'UINT64', [4_294_967_295])).toBe('[18446744065119617025]');
  });

  it('are counted in half precision', async () => {
    expect(await answerOf(squareNetwork, 'FP16', [0.1])).toBe('[0.0099945068359375]');
  });

  it('are counted by their rows, and only the outputs that are asked for are answered', async () => {
    const model = await openWritten('tensors', { 'model.onnx': runningSumNetwork() });
    const answer = await model.infer([column('x', 1, 2, 3), column('state', 10, 20, 30)], { outputs: ['next', 'next'] });
    expect(answer.outputs).toEqual([{ name: 'next', datatype: 'FP32', shape: [3, 1], data: Float32Array.of(11, 22, 33) }]);
    expect(answer.usage).toEqual({ inputs: 3, 'input-tokens': 0 });
    expect(model.runs[0]).toMatchObject({ network: 'model', outputs: ['next'] });
  });

  it.each<[string, readonly RequestTensor[], readonly string[], string]>([
    ['without an input', [column('x', 1)], [], 'inputs'],
    ['of an unknown name', [column('x', 1), column('y', 1)], [], 'inputs[1].name'],
    ['of different numbers of rows', [column('x', 1), column('state', 1, 2)], [], 'inputs[1].shape'],
    ['for an unknown output', [column('x', 1), column('state', 1)], ['next', 'z'], 'outputs[1].name'],
  ])('%s are refused with the field', async (_, inputs, outputs, field) => {
    const model = await openWritten('tensors', { 'model.onnx': runningSumNetwork() });
    await expect(model.infer(inputs, { outputs })).rejects.toMatchObject({ code: 'model.input_invalid', field });
  });

  it('of a model without a task are all that its metadata offers', async () => {
    const model = await openWritten('tensors', { 'model.onnx': runningSumNetwork() });
    const shape = [-1, 1];
    expect(metadataOf(model.version, 'sum', ['1'])).toEqual({
      name: 'sum',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: ['x', 'state'].map((name) => ({ name, datatype: 'FP32', shape })),
      outputs: ['y', 'next'].map((name) => ({ name, datatype: 'FP32', shape })),
      parameters: { task: 'tensors' },
    });
  });
});

describe('the state of a recurrent model', () => {
  const state = { 'weir.json': { state: [{ input: 'state', output: 'next', shape: [-1, 1] }] } };
  const aModel = (): Promise<OpenPackage> => openWritten('tensors', { 'model.onnx': runningSumNetwork(), ...state });
  const sum = async (model: OpenPackage, inputs: readonly RequestTensor[], sequence?: SequenceState, outputs: string[] = ['y']) =>
    (await model.infer(inputs, { outputs, ...(sequence === undefined ? {} : { sequence }) })).outputs.map(({ name, data }) => [
      name,
      Number(data[0]),
    ]);

  it('goes on from call to call of a sequence, and other sequences do not see it', async () => {
    const model = await aModel();
    const [one, other]: SequenceState[] = [aSequence(), aSequence()];
    expect(await sum(model, [column('x', 1)], one)).toEqual([['y', 1]]);
    expect(await sum(model, [column('x', 10)], other)).toEqual([['y', 10]]);
    expect(await sum(model, [column('x', 2)], one)).toEqual([['y', 3]]);
    expect(await sum(model, [column('x', 4)], one)).toEqual([['y', 7]]);
  });

  it('begins with zeros where there is no sequence, as many as there are rows', async () => {
    const model = await aModel();
    const answer = await model.infer([column('x', 5, 6)]);
    expect(outputOf(answer, 'next')).toMatchObject({ shape: [2, 1], data: Float32Array.of(5, 6) });
  });

  it('is the one that the caller sends, if it sends one', async () => {
    const model = await aModel();
    const sequence = aSequence();
    expect(await sum(model, [column('x', 1), column('state', 100)], sequence, ['y', 'next'])).toEqual([
      ['y', 101],
      ['next', 101],
    ]);
    expect(await sum(model, [column('x', 1)], sequence)).toEqual([['y', 102]]);
  });

  it('stays as it was when a call fails', async () => {
    const model = await aModel();
    const sequence = aSequence();
    await sum(model, [column('x', 1)], sequence);
    const call = model.call({ inputs: [column('x', 2)] }, { sequence });
    const { infer } = await import('./infer.ts');
    await expect(infer({ ...call, run: () => Promise.reject(new Error('lost')) })).rejects.toThrow('lost');
    expect(await sum(model, [column('x', 2)], sequence)).toEqual([['y', 3]]);
  });
});

function column(name: string, ...data: number[]): RequestTensor {
  return { name, datatype: 'FP32', shape: [data.length, 1], data };
}

function aSequence(): SequenceState {
  return { tensors: new Map(), memory: new Map() };
}
