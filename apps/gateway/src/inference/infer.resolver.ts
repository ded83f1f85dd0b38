import { Inject } from '@nestjs/common';
import { Args, Context, Mutation, Resolver } from '@nestjs/graphql';
import { AppError } from '@weir/kernel';
import { LimitError } from './admission.ts';
import { presenceOfSignal } from './caller-presence.ts';
import { InferenceService } from './inference.service.ts';
import { InferInput, InferPayload } from './infer.types.ts';
import { outputOf, requestOf } from './model-input.ts';
import type { EdgeGraphContext } from '../edge/graph-context.ts';

@Resolver()
export class InferResolver {
  constructor(@Inject(InferenceService) private readonly inference: InferenceService) {}

  @Mutation(() => InferPayload, { description: 'Calls a model. The answer is sent when its usage is recorded.' })
  async infer(
    @Args('input', { type: () => InferInput, description: 'The call.' }) input: InferInput,
    @Context() context: EdgeGraphContext,
  ): Promise<InferPayload> {
    if (context.principal === undefined) throw new AppError('auth.required');
    try {
      const answer = await this.inference.infer({
        principal: context.principal,
        limits: context.limits,
        requestId: context.requestId,
        surface: 'graphql',
        model: input.model,
        alias: input.alias,
        version: input.version,
        request: () => ({ headers: { 'content-type': 'application/json' }, body: Buffer.from(requestOf(input.input)) }),
        read: ({ body }) => outputOf(input, body),
        arrivedAtMs: context.arrivedAtMs,
        caller: presenceOfSignal(context.signal),
      });
      context.answerHeaders(answer.rateLimit);
      const { receiptId, model, version, output, quantities, cost, latencyMs } = answer;
      return { id: receiptId, model, version, output, usage: quantities, cost, receiptId, latencyMs };
    } catch (error) {
      if (error instanceof LimitError) context.answerHeaders(error.rateLimit, error);
      throw error;
    }
  }
}
