import { describe, expect, it } from 'vitest';
import { parseNvidiaGpus, visibleGpu } from './nvidia.ts';

// Printed by nvidia-smi 570 with `--query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits`.
const TWO_CARDS = `0, GPU-5a1b0f6e-2c44-9d3e-8f0a-3c2b1d4e5f60, NVIDIA H100 80GB HBM3, 81559
1, GPU-77c0d9aa-1b2c-3d4e-5f60-718293a4b5c6, NVIDIA L4, 23034
`;

describe('the graphics cards of NVIDIA', () => {
  const gpus = parseNvidiaGpus(TWO_CARDS);

  it('are known by name and memory', () => {
    expect(gpus.map(({ name, memoryBytes }) => [name, memoryBytes])).toEqual([
      ['NVIDIA H100 80GB HBM3', 81_559 * 1_048_576],
      ['NVIDIA L4', 23_034 * 1_048_576],
    ]);
  });

  it.each([[''], ['No devices were found\n'], ['0, GPU-1, NVIDIA GB10, [N/A]\n']])('are none when the tool says %j', (text) => {
    expect(parseNvidiaGpus(text)).toEqual([]);
  });

  it.each([
    ['nothing is said', undefined, 'NVIDIA H100 80GB HBM3'],
    ['a place in the list is said', '1,0', 'NVIDIA L4'],
    ['an id is said', 'GPU-77c0d9aa-1b2c-3d4e-5f60-718293a4b5c6', 'NVIDIA L4'],
    ['the beginning of an id is said', 'GPU-77c0', 'NVIDIA L4'],
    ['none is to be seen', '', undefined],
    ['one that is not there is said', '7', undefined],
  ])('the one that is used is the first that CUDA shows: %s', (_, visible, name) => {
    expect(visibleGpu(gpus, visible)?.name).toBe(name);
  });
});
