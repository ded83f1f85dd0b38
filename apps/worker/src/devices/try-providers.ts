import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { scrubbed } from '../serving/runtime/scrub.ts';
import { servingEnvironment } from '../serving-processes/serving-environment.ts';
import type { ExecutionProvider, ProviderReport } from './execution-providers.ts';

/** The sources run as they are under the tests, the compiled files in production. */
const IS_SOURCE = import.meta.url.endsWith('.ts');
const ENTRY = fileURLToPath(new URL(IS_SOURCE ? './provider-trial.ts' : './provider-trial.js', import.meta.url));
/** Drivers take seconds to start; what takes longer than this does not work. */
const TIMEOUT_MS = 60_000;

const trial = z.string().nullable().optional();
const reportSchema = z.object({
  installed: z.array(z.object({ name: z.string(), isBundled: z.boolean() })),
  trials: z.object({ cpu: trial, cuda: trial, tensorrt: trial, webgpu: trial, coreml: trial, dml: trial }),
});

/**
 * Tries execution providers in a process of its own, with the environment that serving processes have.
 *
 * @throws Error when the process ends without a word, or takes too long
 */
export function tryProviders(
  providers: readonly ExecutionProvider[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ProviderReport> {
  const found = Promise.withResolvers<ProviderReport>();
  const child = fork(ENTRY, [...providers], {
    env: servingEnvironment(environment),
    execArgv: [...(IS_SOURCE ? ['--conditions=@weir/source'] : []), '--disable-warning=ExperimentalWarning'],
    // What ONNX Runtime and drivers print stands in the report, without the paths.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  child.once('message', (message) => found.resolve(withoutPaths(reportSchema.parse(message))));
  child.once('error', (error) => found.reject(error));
  child.once('exit', (code, signal) => found.reject(new Error(`the process that tried them ended: ${signal ?? `exit code ${code}`}`)));
  return found.promise;
}

function withoutPaths({ installed, trials }: z.output<typeof reportSchema>): ProviderReport {
  const told = Object.entries(trials).map(([provider, said]) => [provider, typeof said === 'string' ? lastSentence(scrubbed(said)) : said]);
  return { installed, trials: Object.fromEntries(told) };
}

/** ONNX Runtime puts the condition that failed in front of what went wrong. */
function lastSentence(message: string): string {
  return message.split(' was false. ').at(-1) ?? message;
}
