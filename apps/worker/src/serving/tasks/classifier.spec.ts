import { toHalfBits } from '@weir/open-inference';
import { describe, expect, it } from 'vitest';
import type { OnnxTensor } from '../runtime/messages.ts';
import { RunRefusedError } from '../runtime/model-runtime.ts';
import { classify } from './classifier.ts';
import type { TaskCall } from './task.ts';

/** A call of a model with two classes whose run gives, or throws, what the spec says. */
function aCall(run: TaskCall['runtime']['run'], parameters: TaskCall['parameters'] = {}): TaskCall {
  return {
    version: {
      versionId: 'v',
      modelPackage: { task: 'text-classification', modelFile: '', labels: ['no', 'yes'], isMultiLabel: false, image: null, text: null },
      signature: { inputs: [], outputs: [{ name: 'logits', datatype: 'FP32', dims: ['n', 2] }] },
    },
    runtime: { run },
    limits: { maxItems: 8, maxTextCharacters: 100, maxImagePixels: 100 },
    signal: new AbortController().signal,
    parameters,
  };
}

const gives = (logits: Omit<OnnxTensor, 'name'>) => async () => ({ outputs: [{ name: 'logits', ...logits }], tokens: 0 });
const work = { kind: 'texts', texts: ['x'] } as const;

describe('a classifier', () => {
  it('that refuses what the worker itself prepared is at fault, not the caller', async () => {
    const call = aCall(() => Promise.reject(new RunRefusedError('indices out of bounds')));
    const failure = await classify(call, work, 1).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'model.failed' });
    expect(String(failure)).not.toContain('indices');
  });

  it.each<[string, Omit<OnnxTensor, 'name'>]>([
    ['of another number of items', { type: 'float32', dims: [2, 2], data: new Float32Array(4) }],
    ['without classes', { type: 'float32', dims: [1], data: new Float32Array(1) }],
    ['in words', { type: 'string', dims: [1, 2], data: ['a', 'b'] }],
  ])('that gives scores %s has failed', async (_, logits) => {
    await expect(classify(aCall(gives(logits)), work, 1)).rejects.toMatchObject({ code: 'model.failed' });
  });

  it('may count in half precision', async () => {
    const logits = { type: 'float16', dims: [1, 2], data: toHalfBits([0, 2]) } as const;
    const { outputs } = await classify(aCall(gives(logits)), work, 1);
    expect(outputs[0]?.data).toEqual(['yes', 'no']);
    expect(Number(outputs[1]?.data[0])).toBeCloseTo(0.881, 3);
  });

  it.each([[0], [1_001], [1.5], ['2']])('is not asked for %j labels', async (topK) => {
    const call = aCall(gives({ type: 'float32', dims: [1, 2], data: new Float32Array(2) }), { top_k: topK });
    await expect(classify(call, work, 1)).rejects.toMatchObject({ code: 'model.input_invalid', field: 'parameters.top_k' });
  });
});
