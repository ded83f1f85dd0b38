import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import type { CallerPresence } from '../caller-presence.ts';
import type { CallIdentity } from './idempotency-key.ts';
import { KeptAnswers, type KeptAnswer } from './kept-answers.ts';

/** A call with a key that is to be answered. */
export interface IdempotentCall {
  readonly tenantId: string;
  readonly identity: CallIdentity;
  /** Where the caller wrote the key, for errors. */
  readonly field: string;
  /** How long the caller waits, in milliseconds from now. */
  readonly timeoutMs: number;
  readonly caller?: CallerPresence | undefined;
}

interface UnderWay {
  readonly callDigest: string;
  /** Its answer; null when it failed. */
  readonly done: Promise<KeptAnswer | null>;
}

/** About the time of a quick answer. */
const UNDER_WAY_RETRY_MS = 1_000;

/**
 * Executes calls with a key once: a repeat gets the answer of the first, after waiting for it while it is in progress, later
 * from the store; where the answer is not stored the repeat is refused. A call that failed is forgotten: the next one with its
 * key is the first again.
 */
@Injectable()
export class IdempotentCalls {
  readonly #answers: KeptAnswers;
  readonly #underWay = new Map<string, UnderWay>();

  constructor(@Inject(KeptAnswers) answers: KeptAnswers) {
    this.#answers = answers;
  }

  /**
   * @param run answers the call, when it is the first
   * @throws idempotency.key_reused the key stands for another call
   * @throws idempotency.under_way  the first call was not done in the time that this one has
   * @throws idempotency.answer_not_stored the call was executed, and its answer is not stored
   * @throws idempotency.too_many_keys the tenant has as many keys in use as it may
   * @throws request.cancelled      the caller went away while it waited for the first
   * @throws AppError               what `run` throws
   */
  async once(call: IdempotentCall, run: () => Promise<KeptAnswer>): Promise<{ readonly answer: KeptAnswer; readonly isRepeated: boolean }> {
    const { keyDigest, callDigest } = call.identity;
    const deadlineMs = performance.now() + call.timeoutMs;
    for (let first = this.#underWay.get(keyDigest); first !== undefined; first = this.#underWay.get(keyDigest)) {
      if (first.callDigest !== callDigest) throw reused(call);
      const answer = await inTime(first.done, deadlineMs - performance.now(), call.caller);
      if (answer !== null) return { answer, isRepeated: true };
    }
    const used = this.#answers.usedKeys.find(keyDigest);
    if (used === undefined) this.#answers.usedKeys.assertRoom(call.tenantId);
    else if (used.callDigest !== callDigest) throw reused(call);
    return this.#first(call, run);
  }

  /** Before anything is waited for, so that the next one finds this one under way. */
  async #first(
    { identity, tenantId, field }: IdempotentCall,
    run: () => Promise<KeptAnswer>,
  ): Promise<{ readonly answer: KeptAnswer; readonly isRepeated: boolean }> {
    const { promise: done, resolve } = Promise.withResolvers<KeptAnswer | null>();
    this.#underWay.set(identity.keyDigest, { callDigest: identity.callDigest, done });
    let answer: KeptAnswer | null = null;
    try {
      const used = this.#answers.usedKeys.find(identity.keyDigest);
      if (used !== undefined) {
        answer = await this.#answers.find(identity.keyDigest);
        if (answer !== null) return { answer, isRepeated: true };
        throw new AppError('idempotency.answer_not_stored', {
          field,
          message: `The call with this idempotency key was answered and billed once; its answer is not stored. Its receipt is ${used.receiptId}.`,
        });
      }
      answer = await run();
      await this.#answers.keep(identity, tenantId, answer);
      return { answer, isRepeated: false };
    } finally {
      this.#underWay.delete(identity.keyDigest);
      resolve(answer);
    }
  }
}

function reused({ field }: IdempotentCall): AppError {
  return new AppError('idempotency.key_reused', { field });
}

/** What `done` resolves to, unless the time is up or the caller goes away before. */
async function inTime<T>(done: Promise<T>, timeoutMs: number, caller: CallerPresence | undefined): Promise<T> {
  const { promise: given, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new AppError('idempotency.under_way', { retryAfterMs: UNDER_WAY_RETRY_MS })),
    Math.max(0, timeoutMs),
  );
  const stopListening = caller?.onGone(() => reject(new AppError('request.cancelled')));
  try {
    if (caller?.isGone === true) throw new AppError('request.cancelled');
    return await Promise.race([done, given]);
  } finally {
    clearTimeout(timer);
    stopListening?.();
  }
}
