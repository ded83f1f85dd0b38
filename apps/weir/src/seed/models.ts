import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { request } from 'undici';
import { StartError } from '../start-error.ts';
import { STEP_TIMEOUT_MS, type PlatformApi } from './api.ts';
import { GraphError } from './graph-client.ts';
import { packageFilesIn } from './model-package.ts';
import { whileItPasses } from './retry.ts';
import type { StarterModel } from './seed-record.ts';

/** Uploading waits for the registry's disk and database in turn; more at once only crowd them. */
const MODELS_AT_ONCE = 3;
/** Loading a starter model takes a second or two; this is for a machine that is busy with other things. */
const MODEL_READY_TIMEOUT_MS = 120_000;
/** A new key is known to the gateway within moments; after this it is refused for good. */
const KEY_KNOWN_TIMEOUT_MS = 15_000;

/**
 * Uploads starter models and publishes a version of each, owned by the platform and open to every tenant with a plan.
 * What describes them stands in their packages.
 */
export async function ensureModels(
  api: PlatformApi,
  operator: string,
  root: string,
  models: readonly StarterModel[],
  signal: AbortSignal,
): Promise<void> {
  await pMap(models, (model) => ensureModel(api, operator, root, model, signal), { concurrency: MODELS_AT_ONCE, signal });
}

async function ensureModel(api: PlatformApi, operator: string, root: string, model: StarterModel, signal: AbortSignal): Promise<void> {
  const files = packageFilesIn(root, model.folder);
  for (const file of files) await whileItPasses(STEP_TIMEOUT_MS, signal, () => api.putArtifact(file.sha256, file.localPath));
  // What the model does and is called stands in its weir.json. The same files again change nothing.
  await whileItPasses(STEP_TIMEOUT_MS, signal, async () => {
    try {
      await api.public(operator, 'mutation ($input: PublishModelVersionInput!) { publishModelVersion(input: $input) { __typename } }', {
        input: {
          name: model.name,
          version: model.version,
          alias: 'production',
          visibility: 'PUBLIC',
          files: files.map((file) => ({ path: file.path, sha256: file.sha256, sizeBytes: file.sizeBytes })),
        },
      });
    } catch (error) {
      // This version is there from an earlier release of the project, with other files.
      if (!(error instanceof GraphError && error.code === 'model.version_exists')) throw error;
    }
  });
}

/**
 * Waits until the key may call each starter model and a worker has it.
 *
 * @returns false when the gateway keeps refusing the key
 * @throws StartError when a model does not become ready
 */
export async function modelsAnswer(
  publicUrl: string,
  apiKey: string,
  models: readonly StarterModel[],
  signal: AbortSignal,
  onReady: (model: string) => void,
): Promise<boolean> {
  const verdicts = await Promise.all(
    models.map(async ({ name }) => {
      const began = Date.now();
      for (;;) {
        const status = await statusOf(publicUrl, name, apiKey, signal);
        if (status === 200) break;
        const waitedMs = Date.now() - began;
        if (status === 401 && waitedMs > KEY_KNOWN_TIMEOUT_MS) return false;
        if (waitedMs > MODEL_READY_TIMEOUT_MS)
          throw new StartError(
            `The model ${name} was not ready within ${MODEL_READY_TIMEOUT_MS / 1000} s; the log of the worker says why.`,
          );
        await sleep(150, undefined, { signal });
      }
      onReady(name);
      return true;
    }),
  );
  return verdicts.every((verdict) => verdict);
}

async function statusOf(publicUrl: string, model: string, apiKey: string, signal: AbortSignal): Promise<number> {
  const answer = await request(`${publicUrl}/v2/models/${model}/ready`, {
    headers: { authorization: `Bearer ${apiKey}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
  });
  await answer.body.dump();
  return answer.statusCode;
}
