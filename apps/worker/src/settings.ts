import { backEndKindSchema } from '@weir/contracts';
import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';
import type { BaseSettings } from '@weir/platform/service';
import { z } from 'zod';
import { EXECUTION_PROVIDERS } from './devices/execution-providers.ts';

const MIB = 1_048_576;
const BACK_ENDS = backEndKindSchema.options;

/** What a worker is told beside the base settings. */
export const workerSettings = defineSettings({
  workerId: {
    env: 'WEIR_WORKER_ID',
    schema: z
      .string()
      .regex(/^[\w.-]{1,100}$/, 'must be 1 to 100 letters, digits, dots, dashes or underscores')
      .optional(),
    description:
      'name of this worker, unique among workers; keep it over restarts so that placements are found again. Without it each start is a new worker',
  },
  advertisedUrl: {
    env: 'WEIR_WORKER_URL',
    schema: settingSchemas.url().optional(),
    description: 'address under which the gateway reaches this worker; without it the address that it listens on',
  },
  cacheDirectory: {
    env: 'WEIR_WORKER_CACHE_DIR',
    schema: settingSchemas.requiredText(),
    description: 'folder for model files; what is in it can be deleted while the worker is stopped',
  },
  cacheBytes: {
    env: 'WEIR_WORKER_CACHE_BYTES',
    schema: settingSchemas.integer(MIB, 2 ** 50, 20 * 1024 * MIB),
    description: 'bytes of model files to keep; the longest unused go first',
  },
  memoryBytes: {
    env: 'WEIR_WORKER_MEMORY_BYTES',
    schema: settingSchemas.integer(MIB, 2 ** 50, 4 * 1024 * MIB),
    description:
      'bytes of memory that models may take, as measured when they are loaded; when they are used up the longest unused ones are unloaded, and loaded again when they are called; announced to the registry',
  },
  idleUnloadMs: {
    env: 'WEIR_WORKER_IDLE_UNLOAD_MS',
    schema: settingSchemas.integer(0, 2_147_483_647, 0),
    description:
      'milliseconds without a call after which a model leaves memory; its next call waits until it is loaded again. 0: models stay while there is room',
  },
  trustClasses: {
    env: 'WEIR_WORKER_TRUST_CLASSES',
    schema: settingSchemas.list(),
    description:
      "which tenants' models may share a process: groups of tenant ids joined by +, comma separated; * stands for all tenants that are in no other group. Without it no two tenants share one",
  },
  servingUidBase: {
    env: 'WEIR_WORKER_SERVING_UID_BASE',
    schema: settingSchemas.integer(0, 2_000_000_000, 64_200),
    description:
      'first of 1,000 user and group ids that serving processes run as, one for each trust class, where the worker is started as root; 0: they run as root, which devices that are open to root alone need',
  },
  maxProcesses: {
    env: 'WEIR_WORKER_MAX_PROCESSES',
    schema: settingSchemas.integer(1, 1_000, 16),
    description:
      'most serving processes at once; each takes about 100 MB beside its models. When all are in use, the longest idle one is stopped for another and started again by its next call; one is kept for public models',
  },
  maxTenantProcesses: {
    env: 'WEIR_WORKER_TENANT_PROCESSES',
    schema: settingSchemas.integer(1, 1_000, 4),
    description: 'most serving processes of one tenant: one for its models, and one for each of its models that crashed',
  },
  executionProviders: {
    env: 'WEIR_WORKER_EXECUTION_PROVIDERS',
    schema: z
      .string()
      .default('cpu')
      .transform((text) => text.split(',').map((part) => part.trim()))
      .pipe(z.array(z.enum(EXECUTION_PROVIDERS, `must be of ${EXECUTION_PROVIDERS.join(', ')}, comma separated`)).min(1)),
    description:
      "ONNX Runtime's execution providers in order of preference: cpu, cuda, tensorrt, webgpu, coreml, dml; one that is not installed is an error at the start",
  },
  backends: {
    env: 'WEIR_WORKER_BACK_ENDS',
    schema: z
      .string()
      .default(BACK_ENDS.join(','))
      .transform((text) => [...new Set(text.split(',').map((part) => part.trim()))])
      .pipe(z.array(z.enum(BACK_ENDS, `must be of ${BACK_ENDS.join(', ')}, comma separated`)).min(1)),
    description:
      'kinds of back ends whose versions this worker takes: onnxruntime (it runs them itself), open-inference and openai (it calls another server)',
  },
  secretsDirectory: {
    env: 'WEIR_WORKER_SECRETS_DIR',
    schema: settingSchemas.optionalText(),
    description:
      'folder with a file for each secret that other servers ask for, by its name; no file may be readable by everyone. Without it versions that name a secret are not ready',
  },
  remoteConcurrency: {
    env: 'WEIR_WORKER_REMOTE_CONCURRENCY',
    schema: settingSchemas.integer(1, 10_000, 64),
    description: 'calls at once, and connections, to the server that runs a version; more wait in the queue',
  },
  allowLocalBackEnds: {
    env: 'WEIR_BACK_ENDS_ALLOW_LOCAL',
    schema: settingSchemas.boolean(false),
    description:
      'servers that run versions may be at addresses of this machine, its link (169.254.0.0/16, fe80::/10) or a metadata service; else the worker does not connect to them. Private networks are always allowed',
  },
  healthIntervalMs: {
    env: 'WEIR_WORKER_HEALTH_INTERVAL_MS',
    schema: settingSchemas.integer(50, 600_000, 5_000),
    description: 'milliseconds between two looks at whether the server that runs a version is ready',
  },
  slots: {
    env: 'WEIR_WORKER_SLOTS',
    schema: z.coerce
      .number('must be a number')
      .int('must be a whole number')
      .min(1, 'must be 1 to 1024')
      .max(1024, 'must be 1 to 1024')
      .optional(),
    description: 'runs at once in one process; without it the cores of the machine divided by WEIR_WORKER_INTRA_OP_THREADS',
  },
  intraOpThreads: {
    env: 'WEIR_WORKER_INTRA_OP_THREADS',
    schema: settingSchemas.integer(1, 256, 1),
    description: 'threads within one operation of ONNX Runtime',
  },
  queueLength: {
    env: 'WEIR_WORKER_QUEUE_LENGTH',
    schema: settingSchemas.integer(1, 100_000, 1_024),
    description:
      'items (texts, images, chunks of raw tensors) that may wait for a model, over all tenants; one tenant takes at most four fifths of what is free, and half of an equal share is kept for each; calls beyond are refused with worker.overloaded',
  },
  queueWaitMs: {
    env: 'WEIR_WORKER_QUEUE_WAIT_MS',
    schema: settingSchemas.integer(1, 600_000, 1_000),
    description:
      'maximum estimated queue delay for admission in milliseconds, counted for the tenant that calls; calls beyond are refused with worker.overloaded',
  },
  batchMs: {
    env: 'WEIR_WORKER_BATCH_MS',
    schema: settingSchemas.integer(1, 60_000, 50),
    description: 'longest run in milliseconds that a batch is filled up to; how many rows that are is learned',
  },
  maxBatchRows: {
    env: 'WEIR_WORKER_MAX_BATCH_ROWS',
    schema: settingSchemas.integer(1, 100_000, 128),
    description: 'most rows in one run; calls with more rows run in chunks where rows are independent of each other',
  },
  defaultTimeoutMs: {
    env: 'WEIR_WORKER_DEFAULT_TIMEOUT_MS',
    schema: settingSchemas.integer(1, 3_600_000, 30_000),
    description: 'milliseconds that a call which says nothing waits for its answer',
  },
  runLimitMs: {
    env: 'WEIR_WORKER_RUN_LIMIT_MS',
    schema: settingSchemas.integer(10, 3_600_000, 60_000),
    description:
      'milliseconds that one run or load of a model may take; beyond, its process is replaced, because a run cannot be interrupted',
  },
  bodyLimitBytes: {
    env: 'WEIR_WORKER_BODY_LIMIT_BYTES',
    schema: settingSchemas.integer(1024, 2 ** 30, 16 * MIB),
    description: 'largest body of a call in bytes',
  },
  maxElements: {
    env: 'WEIR_WORKER_MAX_ELEMENTS',
    schema: settingSchemas.integer(1, 2 ** 30, 4_000_000),
    description: 'most elements in the tensors of one call, and in the outputs of a call with raw tensors',
  },
  maxItems: {
    env: 'WEIR_WORKER_MAX_ITEMS',
    schema: settingSchemas.integer(1, 100_000, 64),
    description: 'most sentences or pictures in one call',
  },
  maxTextCharacters: {
    env: 'WEIR_WORKER_MAX_TEXT_CHARACTERS',
    schema: settingSchemas.integer(1, 10_000_000, 50_000),
    description: 'most characters in one text',
  },
  maxImagePixels: {
    env: 'WEIR_WORKER_MAX_IMAGE_PIXELS',
    schema: settingSchemas.integer(1, 268_402_689, 16_777_216),
    description: 'most pixels in one picture before it is scaled',
  },
  maxAudioSeconds: {
    env: 'WEIR_WORKER_MAX_AUDIO_SECONDS',
    schema: settingSchemas.integer(1, 86_400, 600),
    description: 'longest sound in one call in seconds',
  },
  maxSequences: {
    env: 'WEIR_WORKER_MAX_SEQUENCES',
    schema: settingSchemas.integer(1, 10_000_000, 10_000),
    description: 'sequences of calls whose state one process keeps; beyond, the tenant with most loses its longest unused one',
  },
  sequenceBytes: {
    env: 'WEIR_WORKER_SEQUENCE_BYTES',
    schema: settingSchemas.integer(MIB, 2 ** 40, 256 * MIB),
    description: 'bytes of the states of all sequences of one process',
  },
  sequenceIdleMs: {
    env: 'WEIR_WORKER_SEQUENCE_IDLE_MS',
    schema: settingSchemas.integer(1_000, 86_400_000, 600_000),
    description: 'milliseconds without a call after which the state of a sequence is let go',
  },
});

export type WorkerSettings = SettingsOf<typeof workerSettings> & BaseSettings;
