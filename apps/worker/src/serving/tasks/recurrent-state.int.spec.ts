import { runningSumNetwork } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { closeWrittenPackages, openWritten } from './package.fixture.ts';

afterEach(closeWrittenPackages);

const state = { input: 'state', output: 'next', shape: [-1, 1] };
const open = (states: readonly object[]) => openWritten('tensors', { 'model.onnx': runningSumNetwork(), 'weir.json': { state: states } });

describe('a package that speaks of a state', () => {
  it('is taken when its network has it', async () => {
    expect((await open([state])).version.modelPackage.weir.state).toHaveLength(1);
    expect((await open([{ ...state, shape: [-1, -1] }])).version.modelPackage.weir.state).toHaveLength(1);
  });

  it.each([
    ['an input that the network does not have', { input: 'memory' }],
    ['an output that the network does not have', { output: 'y2' }],
    ['another datatype', { datatype: 'FP16' }],
    ['another number of axes', { shape: [-1, 1, 1] }],
    ['another size', { shape: [-1, 8] }],
  ])('with %s is refused when it is loaded, not when it is called', async (_, over) => {
    await expect(open([{ ...state, ...over }])).rejects.toMatchObject({
      code: 'model.package_invalid',
      field: 'weir.json',
      message: expect.stringContaining('the model has "x" FP32 [batch, 1], "state" FP32 [batch, 1], "y" FP32 [batch, 1]'),
    });
  });
});
