import { Inject } from '@nestjs/common';
import { Args, Context, Mutation, Resolver } from '@nestjs/graphql';
import { AppError, type Money } from '@weir/kernel';
import { reportError } from '@weir/platform/http';
import { LOGGER, SETTINGS } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import { sumAmounts } from '@weir/pricing';
import type { EdgeGraphContext } from '../edge/graph-context.ts';
import type { GatewaySettings } from '../settings.ts';
import { LimitError } from './admission.ts';
import { presenceOfSignal } from './caller-presence.ts';
import { idempotencyKey } from './idempotency/idempotency-key.ts';
import { inferEach, type InferenceOutcome } from './infer-many.ts';
import { InferInput, InferManyInput, InferManyPayload, InferPayload, MAX_CALLS, type InferItem, type InferTerms } from './infer.types.ts';
import { InferenceService } from './inference.service.ts';
import { latencyMsOf, type InferenceAnswer, type InferenceCall, type RateLimitState } from './inference.ts';
import { inArguments, requestOf, type CallPlace, type TypedCall } from './model-input.ts';
import { outputOf } from './model-output.ts';
import type { ModelOutputValue } from './model-output.types.ts';

/** Calls of one inferMany that are under way at once: enough for a worker to fill batches with them. */
const CALLS_AT_ONCE = 16;

/** All of a call but its input. */
type CallTerms = Omit<InferenceCall, 'request' | 'read' | 'sequenceId' | 'idempotencyKey'>;

@Resolver()
export class InferResolver {
  constructor(
    @Inject(InferenceService) private readonly inference: InferenceService,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @Mutation(() => InferPayload, { description: 'Calls a model. The answer is sent when its usage is recorded.' })
  async infer(
    @Args('input', { type: () => InferInput, description: 'The call.' }) input: InferInput,
    @Context() context: EdgeGraphContext,
  ): Promise<InferPayload> {
    const call = callOf(this.termsOf(input, context), input, PLACE, input.idempotencyKey, 'input.idempotencyKey');
    try {
      const answer = await this.inference.infer(call);
      context.answerHeaders(answer.rateLimit);
      return payloadOf(answer);
    } catch (error) {
      if (error instanceof LimitError) context.answerHeaders(error.rateLimit, error);
      throw inArguments(error, input, PLACE);
    }
  }

  @Mutation(() => InferManyPayload, {
    description:
      'Calls a model with many inputs, some at a time. Each is a call of its own: it counts towards the limits, is answered or refused by itself, and has its own receipt. What refuses all of them alike is the error of the field. When you go away, those that have not begun never do.',
  })
  async inferMany(
    @Args('input', { type: () => InferManyInput, description: 'The calls.' }) input: InferManyInput,
    @Context() context: EdgeGraphContext,
  ): Promise<InferManyPayload> {
    const { inputs, options, idempotencyKeys } = input;
    const terms = this.termsOf(input, context);
    assertCount('input.inputs', inputs.length, 1, MAX_CALLS);
    if (idempotencyKeys) assertCount('input.idempotencyKeys', idempotencyKeys.length, inputs.length, inputs.length);
    const { prices } = this.inference.authorise(terms);
    const calls = inputs.map((one) => ({ input: one, options }));
    const outcomes = await inferEach(
      this.inference,
      calls.map((call, index) => () => callOf(terms, call, placeOf(index), idempotencyKeys?.[index], `input.idempotencyKeys[${index}]`)),
      Math.min(CALLS_AT_ONCE, terms.limits?.maxInFlight ?? this.settings.maxInFlight),
    );
    const rateLimit = lowest(outcomes);
    if (rateLimit !== null) context.answerHeaders(rateLimit);
    return {
      items: outcomes.map((outcome, index) => this.itemOf(outcome, calls[index], placeOf(index), context.requestId)),
      cost: totalOf(outcomes, prices.currency),
      latencyMs: latencyMsOf(terms),
    };
  }

  /** @throws auth.required, and request.invalid for a time that is not allowed */
  private termsOf(input: InferTerms, context: EdgeGraphContext): CallTerms {
    if (context.principal === undefined) throw new AppError('auth.required');
    const { model, alias, version, timeoutMs, priority } = input;
    const longestMs = this.settings.inferenceTimeoutMs;
    if (timeoutMs !== undefined && timeoutMs !== null && (timeoutMs < 1 || timeoutMs > longestMs))
      throw new AppError('request.invalid', {
        field: 'input.timeoutMs',
        message: `input.timeoutMs: must be 1 to ${longestMs} milliseconds, got ${timeoutMs}.`,
      });
    return {
      principal: context.principal,
      limits: context.limits,
      requestId: context.requestId,
      surface: 'graphql',
      model,
      alias: alias ?? undefined,
      version: version ?? undefined,
      timeoutMs: timeoutMs ?? undefined,
      priority: priority ?? undefined,
      arrivedAtMs: context.arrivedAtMs,
      caller: presenceOfSignal(context.signal),
    };
  }

  private itemOf(outcome: InferenceOutcome<ModelOutputValue>, call: TypedCall | undefined, place: CallPlace, requestId: string): InferItem {
    if ('answer' in outcome) return { result: payloadOf(outcome.answer), error: null };
    reportError(outcome.error, requestId, this.logger);
    const { code, message, field, retryAfterMs } = call === undefined ? outcome.error : inArguments(outcome.error, call, place);
    return { result: null, error: { code, message, field: field ?? null, retryAfterMs: retryAfterMs ?? null } };
  }
}

const PLACE: CallPlace = { input: 'input.input', options: 'input.options', sequence: 'input.sequence' };

function placeOf(index: number): CallPlace {
  return { ...PLACE, input: `input.inputs[${index}]` };
}

function callOf(
  terms: CallTerms,
  call: TypedCall,
  place: CallPlace,
  key: string | null | undefined,
  keyField: string,
): InferenceCall<ModelOutputValue> {
  return {
    ...terms,
    sequenceId: call.sequence?.id,
    idempotencyKey: key === undefined || key === null ? undefined : idempotencyKey(key, keyField),
    request: ({ task }) => requestOf(call, task, place),
    read: (answer, { task }) => outputOf(call.input, answer, task),
  };
}

function payloadOf({
  receiptId,
  model,
  version,
  output,
  quantities,
  cost,
  latencyMs,
  isRepeated,
}: InferenceAnswer<ModelOutputValue>): InferPayload {
  return { id: receiptId, model, version, output, usage: quantities, cost, receiptId, latencyMs, isRepeated };
}

function assertCount(field: string, count: number, least: number, most: number): void {
  if (count >= least && count <= most) return;
  throw new AppError('request.invalid', {
    field,
    message: `${field}: must hold ${least === most ? most : `${least} to ${most}`} items, got ${count}.`,
  });
}

/** The state of the limit after the call that left the least of it; null when no call came as far as the limit. */
function lowest(outcomes: readonly InferenceOutcome<unknown>[]): RateLimitState | null {
  let lowest: RateLimitState | null = null;
  for (const outcome of outcomes) {
    const state = 'answer' in outcome ? outcome.answer.rateLimit : outcome.error instanceof LimitError ? outcome.error.rateLimit : null;
    if (state !== null && (lowest === null || state.remaining < lowest.remaining)) lowest = state;
  }
  return lowest;
}

/** What the answers cost together, without those that earlier calls were billed for. */
function totalOf(outcomes: readonly InferenceOutcome<unknown>[], currency: string): Money {
  const amounts = outcomes.flatMap((outcome) => ('answer' in outcome && !outcome.answer.isRepeated ? [outcome.answer.cost.amount] : []));
  return { amount: sumAmounts(amounts), currency };
}
