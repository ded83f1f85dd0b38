import { describe, expect, test } from 'vitest';
import type { InferInput, ModelInput } from './infer.types.ts';
import { outputOf, requestOf } from './model-input.ts';

const call = (input: ModelInput): InferInput => ({ model: 'm', input });
const response = (outputs: unknown[]) => Buffer.from(JSON.stringify({ model_name: 'm', outputs }));

describe('typed inputs and outputs', () => {
  test('a text, several texts and a picture become one BYTES tensor', () => {
    expect(JSON.parse(requestOf({ text: 'good' }))).toEqual({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['good'] }] });
    expect(JSON.parse(requestOf({ texts: ['a', 'b'] })).inputs[0].shape).toEqual([2]);
    expect(JSON.parse(requestOf({ image: { base64: 'aGk=' } })).inputs[0]).toMatchObject({
      name: 'image',
      parameters: { content_type: 'base64' },
      data: ['aGk='],
    });
  });

  test('what is wrong is named by its field', () => {
    expect(() => requestOf({ texts: [] })).toThrow(expect.objectContaining({ code: 'request.invalid', field: 'input.input.texts' }));
    expect(() => requestOf({ image: { base64: 'not base64!' } })).toThrow(
      expect.objectContaining({ code: 'model.image_invalid', field: 'input.input.image.base64' }),
    );
  });

  test('labels come back by input, best first; raw tensors as they are', () => {
    const body = response([
      { name: 'label', shape: [2, 2], datatype: 'BYTES', data: ['POSITIVE', 'NEGATIVE', 'NEGATIVE', 'POSITIVE'] },
      { name: 'score', shape: [2, 2], datatype: 'FP32', data: [0.9, 0.1, 0.8, 0.2] },
    ]);
    expect(outputOf(call({ texts: ['a', 'b'] }), body)).toEqual({
      items: [
        {
          labels: [
            { label: 'POSITIVE', score: 0.9 },
            { label: 'NEGATIVE', score: 0.1 },
          ],
        },
        {
          labels: [
            { label: 'NEGATIVE', score: 0.8 },
            { label: 'POSITIVE', score: 0.2 },
          ],
        },
      ],
    });
    expect(outputOf(call({ text: 'a' }), body)).toHaveProperty('labels');
    const raw = response([{ name: 'logits', shape: [1, 2], datatype: 'FP32', data: [1, 2] }]);
    expect(outputOf(call({ tensors: [] }), raw)).toEqual({ tensors: [{ name: 'logits', shape: [1, 2], datatype: 'FP32', data: [1, 2] }] });
  });
});
