import { arch, cpus, platform } from 'node:os';
import type { Device } from '@weir/contracts';
import { SettingsError } from '@weir/platform/config';
import { providerProblems, type ExecutionProvider, type ProviderReport } from './execution-providers.ts';
import type { NvidiaGpu } from './nvidia.ts';

export interface DeviceSearch {
  /** In order of preference. */
  readonly executionProviders: readonly ExecutionProvider[];
  readonly tryProviders: (providers: readonly ExecutionProvider[]) => Promise<ProviderReport>;
  /** The card that CUDA uses; undefined when nothing is known of it. */
  readonly nvidiaGpu: () => Promise<NvidiaGpu | undefined>;
}

const NVIDIA: ReadonlySet<ExecutionProvider> = new Set<ExecutionProvider>(['cuda', 'tensorrt']);

/**
 * What a worker computes on: one device for each execution provider that it is told to use, in that order.
 *
 * @throws SettingsError when one of them cannot be used here, with a sentence that says how to install it: nothing runs
 *   on a slower device than asked without a word
 */
export async function findDevices({ executionProviders, tryProviders, nvidiaGpu }: DeviceSearch): Promise<Device[]> {
  const beyondCpu = executionProviders.filter((provider) => provider !== 'cpu');
  if (beyondCpu.length > 0) {
    const problems = providerProblems(beyondCpu, await tryProviders(beyondCpu), `${platform()} ${arch()}`);
    if (problems.length > 0) throw new SettingsError(problems.map((problem) => `WEIR_WORKER_EXECUTION_PROVIDERS: ${problem}`));
  }
  const gpu = beyondCpu.some((provider) => NVIDIA.has(provider)) ? await nvidiaGpu() : undefined;
  return executionProviders.map((kind) => {
    if (kind === 'cpu') return { kind, ...named(cpus()[0]?.model.trim()) };
    if (gpu === undefined || !NVIDIA.has(kind)) return { kind };
    return { kind, ...named(gpu.name), memoryBytes: gpu.memoryBytes };
  });
}

/** Processors of virtual machines may have no name. */
function named(name: string | undefined): { readonly name?: string } {
  return name === undefined || name === '' ? {} : { name: name.slice(0, 200) };
}
