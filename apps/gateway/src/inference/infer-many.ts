import { AppError, toAppError } from '@weir/kernel';
import type { InferenceService } from './inference.service.ts';
import type { InferenceAnswer, InferenceCall } from './inference.ts';

/** What became of one call of many. */
export type InferenceOutcome<Output> = { readonly answer: InferenceAnswer<Output> } | { readonly error: AppError };

/** One call of many, said when its turn comes. */
export type PendingCall<Output> = () => InferenceCall<Output>;

/**
 * Runs many calls of one caller, at most `atOnce` of them at a time, beginning in their order. Each goes through the
 * pipeline by itself, so that one's failure is its own.
 *
 * @returns what became of each, in their order
 * @throws request.cancelled the caller went away: what had not begun was not begun
 */
export async function inferEach<Output>(
  inference: Pick<InferenceService, 'infer'>,
  calls: readonly PendingCall<Output>[],
  atOnce: number,
): Promise<InferenceOutcome<Output>[]> {
  const outcomes: InferenceOutcome<Output>[] = [];
  const turns = calls.entries();
  let cancelled: AppError | undefined;
  const takeTurns = async (): Promise<void> => {
    for (const [index, pending] of turns) {
      if (cancelled !== undefined) return;
      const outcome = await attempt(inference, pending);
      if ('error' in outcome && outcome.error.code === 'request.cancelled') cancelled = outcome.error;
      outcomes[index] = outcome;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, calls.length) }, takeTurns));
  if (cancelled !== undefined) throw cancelled;
  return outcomes;
}

async function attempt<Output>(
  inference: Pick<InferenceService, 'infer'>,
  pending: PendingCall<Output>,
): Promise<InferenceOutcome<Output>> {
  try {
    return { answer: await inference.infer(pending()) };
  } catch (error) {
    return { error: toAppError(error) };
  }
}
