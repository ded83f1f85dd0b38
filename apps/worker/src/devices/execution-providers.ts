/** ONNX Runtime's execution providers that a worker may be told to use. */
export const EXECUTION_PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'coreml', 'dml'] as const;
export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

/** What came of trying an execution provider alone: null when it works, else what ONNX Runtime says. */
export type ProviderTrial = string | null;

/** An execution provider as onnxruntime-node lists it. */
export interface InstalledProvider {
  readonly name: string;
  /** False where its libraries come by an installer of their own. */
  readonly isBundled: boolean;
}

/** What a process found that tried execution providers. */
export interface ProviderReport {
  /** What onnxruntime-node was built for on this platform. */
  readonly installed: readonly InstalledProvider[];
  readonly trials: Readonly<Partial<Record<ExecutionProvider, ProviderTrial>>>;
}

const INSTALLER = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node';

/** What has to be there for a provider to work, beside what onnxruntime-node brings. */
const REMEDIES: Readonly<Partial<Record<ExecutionProvider, string>>> = {
  cuda: `Install its libraries with "${INSTALLER}"; it needs an NVIDIA driver, CUDA 12 and cuDNN 9 where the system's loader finds them (LD_LIBRARY_PATH)`,
  tensorrt: `Install its libraries with "${INSTALLER}"; it needs what cuda needs, and TensorRT 10 where the system's loader finds it (LD_LIBRARY_PATH)`,
  webgpu: 'It is installed, and needs a graphics card with a Vulkan driver (libvulkan.so.1 on Linux), Metal or Direct3D 12',
  coreml: 'It is installed, and needs macOS on a Mac',
  dml: 'It is installed, and needs Direct3D 12',
};

/**
 * Why requested execution providers cannot be used, a sentence each that says what to do; empty when all can.
 *
 * @param platform operating system and processor, such as `linux x64`
 */
export function providerProblems(requested: readonly ExecutionProvider[], report: ProviderReport, platform: string): string[] {
  return requested.flatMap((provider) => {
    const trial = report.trials[provider];
    if (trial === null) return [];
    if (!report.installed.some(({ name }) => name === provider)) {
      const names = report.installed.map(({ name }) => name).join(', ');
      return [`${provider} is not part of onnxruntime-node on ${platform}, which has ${names}. Leave ${provider} out.`];
    }
    const what = trial === undefined ? 'it was not tried' : trial.replace(/[.\s]*$/, '');
    return [
      `${provider} cannot be used here (${what}). ${REMEDIES[provider] ?? 'Install onnxruntime-node anew'}, or leave ${provider} out.`,
    ];
  });
}
