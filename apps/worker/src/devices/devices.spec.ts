import { SettingsError } from '@weir/platform/config';
import { describe, expect, it } from 'vitest';
import { findDevices, type DeviceSearch } from './devices.ts';

const H100 = { index: 0, uuid: 'GPU-1', name: 'NVIDIA H100 80GB HBM3', memoryBytes: 85_521_000_000 };
const everythingWorks: DeviceSearch['tryProviders'] = async (providers) => ({
  installed: ['cpu', 'cuda', 'tensorrt', 'webgpu'].map((name) => ({ name, isBundled: true })),
  trials: Object.fromEntries(providers.map((provider) => [provider, null])),
});
const search = (options: Partial<DeviceSearch>): DeviceSearch => ({
  executionProviders: ['cpu'],
  tryProviders: everythingWorks,
  nvidiaGpu: async () => H100,
  ...options,
});

describe('the devices of a worker', () => {
  it('are those of its execution providers, in their order, the card of CUDA and TensorRT with its memory', async () => {
    expect(await findDevices(search({ executionProviders: ['tensorrt', 'cuda', 'webgpu', 'cpu'] }))).toMatchObject([
      { kind: 'tensorrt', name: H100.name, memoryBytes: H100.memoryBytes },
      { kind: 'cuda', name: H100.name, memoryBytes: H100.memoryBytes },
      { kind: 'webgpu' },
      { kind: 'cpu' },
    ]);
  });

  it('have no memory of their own where nothing is known of it', async () => {
    expect(await findDevices(search({ executionProviders: ['cuda'], nvidiaGpu: async () => undefined }))).toEqual([{ kind: 'cuda' }]);
    const [cpu] = await findDevices(search({}));
    expect(cpu).not.toHaveProperty('memoryBytes');
  });

  it('are not looked for where the processor is all that is asked for', async () => {
    const tryProviders = async (): Promise<never> => {
      throw new Error('nothing is to be tried');
    };
    expect(await findDevices(search({ tryProviders, nvidiaGpu: tryProviders }))).toMatchObject([{ kind: 'cpu' }]);
  });

  it('are never fewer than asked for: one that is missing stops the worker', async () => {
    const tryProviders: DeviceSearch['tryProviders'] = async () => ({
      installed: [{ name: 'cpu', isBundled: true }],
      trials: { cuda: 'Failed to load shared library' },
    });
    await expect(findDevices(search({ executionProviders: ['cuda', 'cpu'], tryProviders }))).rejects.toThrow(SettingsError);
  });
});
