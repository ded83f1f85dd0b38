import { packageFileSchema, taskSchema } from '@weir/contracts';
import { z } from 'zod';
import { flightSchema } from './versions/flight-record.ts';

// What the supervisor and a serving process tell each other over the channel between them. The process runs foreign
// models: what it says is checked like anything that comes from outside.

const bytes = z.number().int().nonnegative();

/** A version that a serving process takes calls for. */
export const placedVersionSchema = z.object({
  versionId: z.string(),
  modelId: z.string(),
  /** Public name, for metrics. */
  model: z.string(),
  version: z.string(),
  ownerTenantId: z.string(),
  /** Undefined: not known; see the contract of placements. */
  visibility: z.enum(['public', 'private']).optional(),
  task: taskSchema,
  files: z.array(packageFileSchema),
  /** Folder with the files. */
  directory: z.string(),
});
export type PlacedVersion = z.infer<typeof placedVersionSchema>;

/** What a serving process is told at its start: it has no environment. */
export const servingSettingsSchema = z.object({
  instanceId: z.string(),
  host: z.string(),
  logLevel: z.string(),
  otlpEndpoint: z.string().optional(),
  /** Public keys of the services that may call. */
  keySet: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
  /** File in which it notes what it runs, for whoever looks after a crash. */
  flightFile: z.string(),
  executionProviders: z.array(z.string()).min(1),
  slots: z.number().int().min(1),
  intraOpThreads: z.number().int().min(1),
  queueLength: z.number().int().min(1),
  queueWaitMs: z.number().int().min(1),
  batchMs: z.number().int().min(1),
  maxBatchRows: z.number().int().min(1),
  runLimitMs: z.number().int().min(1),
  defaultTimeoutMs: z.number().int().min(1),
  bodyLimitBytes: bytes,
  maxElements: z.number().int().min(1),
  maxItems: z.number().int().min(1),
  maxTextCharacters: z.number().int().min(1),
  maxImagePixels: z.number().int().min(1),
  maxAudioSeconds: z.number().min(1),
  maxSequences: z.number().int().min(1),
  sequenceBytes: bytes,
  sequenceIdleMs: z.number().int().min(1),
});
export type ServingSettings = z.infer<typeof servingSettingsSchema>;

/** The treatment of a tenant's calls of a version after crashes; see `CrashTracker`. */
export const callRestrictionSchema = z.object({
  versionId: z.string(),
  tenantId: z.string(),
  /** Null: calls of every shape class. */
  shapeClass: z.string().nullable(),
  /** `Retry-After` of the refused calls, in milliseconds; null: the calls are not refused but run alone. */
  refusedForMs: z.number().nonnegative().nullable(),
});
export type CallRestriction = z.infer<typeof callRestrictionSchema>;

export const toServingSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('configure'), settings: servingSettingsSchema }),
  /** Take calls for it from now on; it is in memory only after `load`. */
  z.object({ kind: z.literal('place'), version: placedVersionSchema }),
  /** The model of the version has another visibility now. */
  z.object({ kind: z.literal('update'), versionId: z.string(), visibility: placedVersionSchema.shape.visibility }),
  z.object({ kind: z.literal('load'), versionId: z.string() }),
  /** Free its memory, but go on taking calls. */
  z.object({ kind: z.literal('unload'), versionId: z.string() }),
  /** The memory that a call waits for cannot be had now. */
  z.object({ kind: z.literal('refuse'), versionId: z.string() }),
  /** Take no more calls for it, and free its memory. */
  z.object({ kind: z.literal('remove'), versionId: z.string() }),
  /** All restrictions that are in force from now on. */
  z.object({ kind: z.literal('restrict'), restrictions: z.array(callRestrictionSchema) }),
  /** Write the states of the version's sequences to a file, and take no more calls of them. */
  z.object({ kind: z.literal('export-sequences'), versionId: z.string(), file: z.string() }),
  /** Continue the sequences in the file. */
  z.object({ kind: z.literal('import-sequences'), versionId: z.string(), file: z.string() }),
  z.object({ kind: z.literal('report-metrics'), request: z.number().int() }),
  /** Finish what is under way, then end. */
  z.object({ kind: z.literal('drain'), timeoutMs: z.number().int() }),
]);
export type ToServing = z.infer<typeof toServingSchema>;

export const fromServingSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('listening'), port: z.number().int() }),
  z.object({ kind: z.literal('loaded'), versionId: z.string(), memoryBytes: bytes }),
  z.object({
    kind: z.literal('not-loaded'),
    versionId: z.string(),
    code: z.string().max(100),
    message: z.string().max(1_000),
  }),
  z.object({ kind: z.literal('unloaded'), versionId: z.string() }),
  z.object({ kind: z.literal('removed'), versionId: z.string() }),
  z.object({ kind: z.literal('sequences-exported'), versionId: z.string(), sequences: z.number().int().nonnegative() }),
  z.object({ kind: z.literal('sequences-imported'), versionId: z.string(), sequences: z.number().int().nonnegative() }),
  /** A call waits for a version that is not in memory. */
  z.object({ kind: z.literal('wanted'), versionId: z.string() }),
  /** An operator asks for it. */
  z.object({ kind: z.literal('asked'), versionId: z.string(), what: z.enum(['load', 'unload']) }),
  /** Every second: it lives, and what it uses. */
  z.object({
    kind: z.literal('alive'),
    rssBytes: bytes,
    /** Of the states of all sequences. */
    sequenceBytes: bytes,
    versions: z.array(z.object({ versionId: z.string(), idleMs: z.number().nonnegative(), isBusy: z.boolean() })).max(1_000),
  }),
  /** A run does not end, or a thread was lost: the process has to be replaced. */
  z.object({
    kind: z.literal('broken'),
    versionId: z.string(),
    reason: z.string().max(500),
    /** The version's loads and runs in progress. */
    running: z.array(flightSchema).max(1_000),
  }),
  z.object({ kind: z.literal('metrics'), request: z.number().int(), metrics: z.unknown() }),
]);
export type FromServing = z.infer<typeof fromServingSchema>;

/** How often a serving process says that it lives. */
export const ALIVE_INTERVAL_MS = 1_000;
