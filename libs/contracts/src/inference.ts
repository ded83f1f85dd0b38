import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { currency, decimal, id, instant, modelName } from './fields.ts';

export const loadedVersionSchema = z.object({
  versionId: id,
  /** `ready`: calls are taken, although the first one may have to wait until the model is in memory again. */
  state: z.enum(['loading', 'ready', 'failed']),
  /** Where calls of this version go; without it the worker's own address. */
  url: z.url().optional(),
  /** Memory that loading it took, as measured by the worker; absent until it was loaded there once. */
  memoryBytes: z.number().int().nonnegative().optional(),
  /** Why it is not ready, for the publisher; no paths. */
  error: z.string().max(500).optional(),
});

export const deviceSchema = z.object({
  /** The execution provider of ONNX Runtime that uses it: `cpu`, `cuda`, `tensorrt`, `webgpu` and so on. */
  kind: z.string().min(1).max(50),
  /** As its maker calls it. */
  name: z.string().max(200).optional(),
  /** The device's own memory; without it its models live in the memory of the worker alone. */
  memoryBytes: z.number().int().nonnegative().optional(),
});
/** What a worker computes on. */
export type Device = z.infer<typeof deviceSchema>;

export const workerSchema = z.object({
  id: z.string().min(1).max(100),
  /** Base address of its Open Inference Protocol server. */
  url: z.url(),
  startedAt: instant,
  /** When it wrote this; a worker that has not written for `WORKER_EXPIRY_MS` is gone. */
  heartbeatAt: instant,
  /** `draining`: it finishes what it has and takes nothing new. */
  state: z.enum(['serving', 'draining']),
  /** Memory that it may fill with models. */
  memoryBytes: z.number().int().nonnegative(),
  /** What it computes on, in the order in which it prefers them; without it a processor alone. */
  devices: z.array(deviceSchema).max(64).optional(),
  /** Kinds of back ends whose versions it takes; without it `onnxruntime` alone. */
  backends: z.array(z.string().min(1).max(50)).max(16).optional(),
  versions: z.array(loadedVersionSchema).max(1000),
});
/** A worker as it announces itself. */
export type WorkerState = z.infer<typeof workerSchema>;

/** How often a worker announces itself. */
export const WORKER_HEARTBEAT_MS = 5_000;
/** Silence after which a worker counts as gone, as long as the bus itself delivers. */
export const WORKER_EXPIRY_MS = 20_000;

/** The worker as it is now; a tombstone when it stopped. */
export const workerChanged = defineEvent({
  type: 'inference.worker.changed.v1',
  topic: 'inference.workers',
  schema: workerSchema,
  key: (worker) => worker.id,
});

export const meterSchema = z.enum(['requests', 'inputs', 'input-tokens', 'audio-seconds']);
/**
 * What is counted of a call. `requests`: 1 for each call. `inputs`: items in the call
 * (sentences, pictures, rows). `input-tokens`: tokens that the model read. `audio-seconds`: seconds of audio, to the millisecond.
 */
export type Meter = z.infer<typeof meterSchema>;

export const usageQuantitySchema = z.object({ meter: meterSchema, quantity: decimal });
export type UsageQuantity = z.infer<typeof usageQuantitySchema>;

export const usageOutcomeSchema = z.enum(['answered', 'timed_out', 'cancelled']);
/**
 * How a metered call ended. `timed_out`, `cancelled`: its deadline passed, or its caller disconnected, after it had begun to run;
 * its quantities are of what had begun to run by then.
 */
export type UsageOutcome = z.infer<typeof usageOutcomeSchema>;

export const usageSchema = z.object({
  /** Of the call, and of its receipt. */
  receiptId: id,
  /**
   * Of a call with an idempotency key: the receipts that the same call has when it is made in the period of 24 hours
   * before or after. When one of them is recorded and less than 24 hours apart, this one repeats it and is not counted.
   */
  neighbourReceiptIds: z.array(id).max(2).optional(),
  tenantId: id,
  /** The API key or person that called. */
  principalKind: z.enum(['api-key', 'person']),
  principalId: id,
  modelId: id,
  model: modelName,
  versionId: id,
  version: z.string(),
  /** Through which surface it came. */
  surface: z.enum(['graphql', 'open-inference']),
  /** `amount`: the quantity's part of `cost`, as rated. Where it is missing, its part is counted with the first quantity. */
  quantities: z
    .array(usageQuantitySchema.extend({ amount: decimal.optional() }))
    .min(1)
    .max(20),
  /** The price list by which `cost` was computed and by which billing rates. */
  priceListId: id,
  cost: z.object({ amount: decimal, currency }),
  /** From the request's arrival to the answer's readiness. */
  latencyMs: z.number().nonnegative(),
  occurredAt: instant,
  /** How the call ended. Absent, also in records of older writers: `answered`. */
  outcome: usageOutcomeSchema.optional(),
});
/** One metered call: what was used and what it cost. */
export type Usage = z.infer<typeof usageSchema>;

/** A call was metered: it is about to be answered (the record is durable before that), or was interrupted after it had begun to run. */
export const usageRecorded = defineEvent({
  type: 'inference.usage.recorded.v1',
  topic: 'inference.usage',
  schema: usageSchema,
  key: (usage) => usage.tenantId,
});
