import type { InternalTokenVerifier } from '@weir/access';
import { AppError } from '@weir/kernel';
import { encodeResponse, readRequest, type ModelMetadata } from '@weir/open-inference';
import { currentSpanParent, recordSpan, type Logger } from '@weir/platform/telemetry';
import { openInferenceEdge, type Edge, type EdgeAnswer, type EdgeCall, type EdgeVersion } from '../../open-inference/edge.ts';
import type { ServingSettings } from '../control-messages.ts';
import type { OnnxTensor } from '../runtime/messages.ts';
import { infer } from '../tasks/infer.ts';
import { metadataOf } from '../tasks/metadata.ts';
import { sequenceOf, type SequenceStore } from '../tasks/sequences.ts';
import type { RunItem, SequenceState, TaskLimits } from '../tasks/task.ts';
import type { ServedEntry, ServedVersions } from '../versions/served-versions.ts';

const MAX_TENSORS = 64;

export interface ServingEdgeOptions {
  readonly settings: ServingSettings;
  readonly versions: ServedVersions;
  readonly sequences: SequenceStore;
  readonly verifier: InternalTokenVerifier;
  readonly logger: Logger;
  /** Asks the supervisor; resolves when it has been done. */
  readonly control: (versionId: string, what: 'load' | 'unload', signal: AbortSignal) => Promise<void>;
}

/** The versions that this process runs itself, by the Open Inference Protocol. */
export function servingEdge(options: ServingEdgeOptions): Edge {
  const { settings, versions, verifier, logger } = options;
  return openInferenceEdge({
    bodyLimitBytes: settings.bodyLimitBytes,
    defaultTimeoutMs: settings.defaultTimeoutMs,
    longestTimeoutMs: settings.runLimitMs,
    versions: {
      get: (modelId, version) => edgeVersion(options, versions.get(modelId, version)),
      all: () => versions.all().map((entry) => edgeVersion(options, entry)),
    },
    verifier,
    logger,
  });
}

function edgeVersion(options: ServingEdgeOptions, entry: ServedEntry): EdgeVersion {
  const { served, statistics } = entry;
  const { modelId, version, versionId } = served.placed;
  return {
    modelId,
    version,
    audience: served.audience,
    statistics,
    unavailable: served.isInMemory ? null : 'unloaded',
    metadata: (name, signal): Promise<ModelMetadata> =>
      served.described(signal, (taskVersion) => metadataOf(taskVersion, name, options.versions.versionsOf(modelId))),
    // It is loaded when it is called.
    assertReady: () => undefined,
    infer: (call) => inferIn(options, entry, call),
    control: (what, signal) => options.control(versionId, what, signal),
  };
}

async function inferIn({ settings, sequences }: ServingEdgeOptions, entry: ServedEntry, call: EdgeCall): Promise<EdgeAnswer> {
  const request = readRequest(call.body, call.headers, { maxTensors: MAX_TENSORS, maxElements: settings.maxElements });
  const { inputs, outputs: asked = [], parameters = {} } = request;
  const sequence = sequenceOf(parameters);
  const work = (state: SequenceState | null): ReturnType<typeof infer> =>
    run(entry, { inputs, outputs: asked, parameters }, state, call, taskLimitsOf(settings));
  const { versionId } = entry.served.placed;
  const { outputs, usage } = await (sequence === null
    ? work(null)
    : sequences.use({ tenantId: call.tenantId, versionId }, sequence, call.signal, work));
  const answer = { model_name: call.modelName, model_version: entry.served.placed.version, parameters: { usage }, outputs };
  return { message: encodedAnswer(answer, request), usage };
}

/** What a task makes has been checked; numbers that JSON cannot say come from raw tensors, which are the caller's. */
function encodedAnswer(...message: Parameters<typeof encodeResponse>): ReturnType<typeof encodeResponse> {
  try {
    return encodeResponse(...message);
  } catch (error) {
    if (error instanceof AppError && error.code === 'model.failed')
      throw new AppError('model.input_invalid', { field: 'inputs', message: `${error.message} (for these tensors)` });
    throw error;
  }
}

type CallRequest = Parameters<typeof infer>[0]['request'];

function run(
  { served }: ServedEntry,
  request: CallRequest,
  sequence: SequenceState | null,
  { tenantId, priority, signal, started }: EdgeCall,
  limits: TaskLimits,
): ReturnType<typeof infer> {
  const parent = currentSpanParent();
  return served.use({ tenantId, priority, signal, started }, (version, runRows) => {
    const runItem = async (item: RunItem): Promise<readonly OnnxTensor[]> => {
      const queuedAtMs = performance.now();
      const { outputs, rows, startedAtMs, executingAtMs, endedAtMs, batchRows } = await runRows(item);
      if (parent !== undefined) {
        const { network } = item;
        recordSpan('queue', parent, queuedAtMs, startedAtMs, { network });
        recordSpan('batch', parent, startedAtMs, executingAtMs, { network, rows, 'batch.rows': batchRows });
        recordSpan('execute', parent, executingAtMs, endedAtMs, { network });
      }
      return outputs;
    };
    return infer({ version, request, limits, signal, run: runItem, sequence });
  });
}

function taskLimitsOf({ maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds }: ServingSettings): TaskLimits {
  return { maxItems, maxTextCharacters, maxImagePixels, maxAudioSeconds };
}
