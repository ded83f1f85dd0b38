import { InferenceSession, listSupportedBackends } from 'onnxruntime-node';
import { EXECUTION_PROVIDERS, type ExecutionProvider, type ProviderReport, type ProviderTrial } from './execution-providers.ts';

// The entry of a process that tries execution providers: what a graphics driver does to a process stays in this one. The
// providers to try are its arguments; it tells its parent what came of it, and ends.

/** A network that gives back what it is given: y = x, one FP32 number. */
const IDENTITY = Buffer.from('CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=', 'base64');
const LOG_SEVERITY_FATAL = 4;

const trials: Partial<Record<ExecutionProvider, ProviderTrial>> = {};
for (const provider of EXECUTION_PROVIDERS) if (process.argv.includes(provider)) trials[provider] = await tried(provider);
const installed = listSupportedBackends().map(({ name, bundled }) => ({ name, isBundled: bundled }));
process.send?.({ installed, trials } satisfies ProviderReport, () => process.exit(0));

/** Alone: beside others onnxruntime-node leaves out a provider that it does not know, without a word. */
async function tried(provider: ExecutionProvider): Promise<ProviderTrial> {
  try {
    const session = await InferenceSession.create(IDENTITY, { executionProviders: [provider], logSeverityLevel: LOG_SEVERITY_FATAL });
    await session.release();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
