import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';
import type { BaseSettings } from '@weir/platform/service';
import { z } from 'zod';

const MIB = 1_048_576;

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
    description: 'bytes of model files that may be loaded at once; announced to the registry',
  },
  intraOpThreads: {
    env: 'WEIR_WORKER_INTRA_OP_THREADS',
    schema: settingSchemas.integer(1, 256, 1),
    description: 'threads within one operation of ONNX Runtime',
  },
  queueLength: {
    env: 'WEIR_WORKER_QUEUE_LENGTH',
    schema: settingSchemas.integer(1, 100_000, 128),
    description: 'calls that may wait for one model; more are refused with worker.overloaded',
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
      'milliseconds that one run or load of a model may take; beyond, the process ends itself, because a run cannot be interrupted',
  },
  bodyLimitBytes: {
    env: 'WEIR_WORKER_BODY_LIMIT_BYTES',
    schema: settingSchemas.integer(1024, 2 ** 30, 16 * MIB),
    description: 'largest body of a call in bytes',
  },
  maxElements: {
    env: 'WEIR_WORKER_MAX_ELEMENTS',
    schema: settingSchemas.integer(1, 2 ** 30, 4_000_000),
    description: 'most elements in the tensors of one call',
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
});

export type WorkerSettings = SettingsOf<typeof workerSettings> & BaseSettings;
