import type { DeploymentState, KeyLimits, Usage, UsageQuantity } from '@weir/contracts';
import type { Principal } from '@weir/access';
import type { Money } from '@weir/kernel';
import type { EncodedMessage, Priority } from '@weir/open-inference';
import type { CallerPresence } from './caller-presence.ts';
import type { IdempotencyKey } from './idempotency/idempotency-key.ts';

/** A call as every surface hands it to the pipeline. */
export interface InferenceCall<Output = unknown> {
  readonly principal: Principal;
  /** Limits of the API key; null for a person's session, which has the platform's. */
  readonly limits: KeyLimits | null;
  readonly requestId: string;
  readonly surface: Usage['surface'];
  /** The model as callers name it. */
  readonly model: string;
  /** The alias to follow; default `production`. */
  readonly alias?: string | undefined;
  /** When given, the alias must point to this version. */
  readonly version?: string | undefined;
  /** Says the call as an Open Inference Protocol request, when it is known what it calls. The worker checks it against the model. */
  readonly request: (deployment: DeploymentState) => EncodedMessage;
  /** Says the worker's answer in the surface's terms; before the call is metered, so that one it cannot say is not. */
  readonly read: (answer: EncodedMessage, deployment: DeploymentState) => Output;
  /** When the request arrived, on the monotonic clock, in milliseconds. */
  readonly arrivedAtMs: number;
  /** How long the answer is waited for, from arrival; at most, and by default, what the settings allow. */
  readonly timeoutMs?: number | undefined;
  readonly priority?: Priority | undefined;
  /**
   * The sequence that the call is part of: its calls go to one worker, which keeps the state between them, and none is
   * tried a second time. The request says the same in its parameters.
   */
  readonly sequenceId?: string | undefined;
  /** The same call with the same key is answered and billed once. */
  readonly idempotencyKey?: IdempotencyKey | undefined;
  /** Tells when the caller goes away. */
  readonly caller?: CallerPresence | undefined;
}

/** An answer whose usage is durable. */
export interface InferenceAnswer<Output> {
  /** Id of the call's receipt. */
  readonly receiptId: string;
  readonly model: string;
  readonly version: string;
  /** What `read` made of the worker's answer. */
  readonly output: Output;
  readonly quantities: readonly UsageQuantity[];
  readonly cost: Money;
  /** From arrival to this moment. */
  readonly latencyMs: number;
  /** Whether this is the kept answer of an earlier call with the same key: then what it costs was billed with that one. */
  readonly isRepeated: boolean;
  /** What the caller may know of its limit after this call. */
  readonly rateLimit: RateLimitState;
}

/** State of the requests-per-minute limit of which least is left. */
export interface RateLimitState {
  /** Whose limit: the key's (or person's) own, or the one that all of the tenant's share. */
  readonly of: 'key' | 'tenant';
  readonly limit: number;
  readonly remaining: number;
  /** Until the window begins anew. */
  readonly resetMs: number;
}

export const DEFAULT_ALIAS = 'production';

/** From the arrival of a call to this moment, in milliseconds, to the microsecond. */
export function latencyMsOf({ arrivedAtMs }: Pick<InferenceCall, 'arrivedAtMs'>): number {
  return Math.round((performance.now() - arrivedAtMs) * 1000) / 1000;
}
