import { describe, expect, it } from 'vitest';
import { providerProblems, type ProviderReport } from './execution-providers.ts';

/** As onnxruntime-node 1.30 lists them on Linux with an x64 processor. */
const LINUX: ProviderReport['installed'] = [
  { name: 'cpu', isBundled: true },
  { name: 'webgpu', isBundled: true },
  { name: 'cuda', isBundled: false },
  { name: 'tensorrt', isBundled: false },
];

describe('an execution provider that is asked for', () => {
  it('and works is no problem', () => {
    expect(providerProblems(['cuda'], { installed: LINUX, trials: { cuda: null } }, 'linux x64')).toEqual([]);
  });

  it('and whose libraries are missing is one, with the command that installs them', () => {
    const [problem] = providerProblems(['cuda'], { installed: LINUX, trials: { cuda: 'Failed to load shared library.' } }, 'linux x64');
    expect(problem).toBe(
      'cuda cannot be used here (Failed to load shared library). Install its libraries with ' +
        '"ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node"; it needs an NVIDIA driver, CUDA 12 and cuDNN 9 where the ' +
        "system's loader finds them (LD_LIBRARY_PATH), or leave cuda out.",
    );
  });

  it('and is not made for this platform is one that no installation helps', () => {
    expect(providerProblems(['coreml'], { installed: LINUX, trials: { coreml: 'backend not found' } }, 'linux x64')).toEqual([
      'coreml is not part of onnxruntime-node on linux x64, which has cpu, webgpu, cuda, tensorrt. Leave coreml out.',
    ]);
  });

  it('is a problem each, however many work', () => {
    const trials = { webgpu: null, cuda: 'no', tensorrt: 'no' };
    expect(providerProblems(['tensorrt', 'cuda', 'webgpu'], { installed: LINUX, trials }, 'linux x64')).toHaveLength(2);
  });

  it('and was not tried is a problem too: nothing is taken for granted', () => {
    expect(providerProblems(['cuda'], { installed: LINUX, trials: {} }, 'linux x64')).toHaveLength(1);
  });
});
