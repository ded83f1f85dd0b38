import { describe, expect, it } from 'vitest';
import { scrubbed } from './scrub.ts';

describe('a message of the runtime for a caller', () => {
  it.each([
    [
      'Load model from /srv/cache/packages/ab12/onnx/model.onnx failed:Protobuf parsing failed.',
      'Load model from [path] failed:Protobuf parsing failed.',
    ],
    ['/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:12 void f()\n  bad', '[path] void f() bad'],
    ['Load model failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:149 bad', 'Load model failed:[path] bad'],
    ['C:\\Users\\me\\model.onnx missing', '[path] missing'],
    ['Got invalid dimensions for input: x index: 1 Got: 3 Expected: 1', 'Got invalid dimensions for input: x index: 1 Got: 3 Expected: 1'],
  ])('%j has no path of this machine', (message, expected) => {
    expect(scrubbed(message)).toBe(expected);
  });

  it('is short', () => {
    expect(scrubbed('x'.repeat(10_000))).toHaveLength(300);
  });
});
