import { Inject, Injectable } from '@nestjs/common';
import type { UsageOutcome } from '@weir/contracts';
import { AppError, type Money } from '@weir/kernel';
import { METRICS } from '@weir/platform/service';
import { Counter, type Registry } from '@weir/platform/telemetry';
import type { Grant } from './grants.ts';
import type { InferenceCall } from './inference.ts';
import { Settlements } from './settlement.ts';
import { InterruptedCallError } from './worker-client.ts';

const OUTCOMES: Readonly<Record<string, Exclude<UsageOutcome, 'answered'>>> = {
  'request.timeout': 'timed_out',
  'request.cancelled': 'cancelled',
};

/**
 * Calls whose deadline passed or whose caller disconnected: what had begun to run by then is metered, because it cost the
 * platform the same as if it had been answered. What waited to the end, and what the platform failed at, is not (decision 16).
 */
@Injectable()
export class InterruptedCalls {
  readonly #settlements: Settlements;
  readonly #counter: Counter<'outcome' | 'metered'>;

  constructor(@Inject(Settlements) settlements: Settlements, @Inject(METRICS) metrics: Registry) {
    this.#settlements = settlements;
    this.#counter = new Counter({
      name: 'weir_interrupted_calls_total',
      help: 'Calls that timed out or were cancelled, by whether something had begun to run and was metered',
      labelNames: ['outcome', 'metered'],
      registers: [metrics],
    });
  }

  /**
   * Meters what an interrupted call has used, before its error is answered. Its receipt is its own: the receipt of an idempotency
   * key is that of the answered call.
   *
   * @returns the error for the caller, and the cost; `thrown` and no cost when nothing is metered
   * @throws usage.unrecordable when it cannot be recorded
   */
  async settle(call: InferenceCall, grant: Grant, thrown: unknown): Promise<{ readonly error: unknown; readonly cost: Money | null }> {
    const outcome = thrown instanceof AppError ? OUTCOMES[thrown.code] : undefined;
    if (outcome === undefined) return { error: thrown, cost: null };
    const isMetered = thrown instanceof InterruptedCallError;
    this.#counter.inc({ outcome, metered: isMetered ? 'yes' : 'no' });
    if (!isMetered) return { error: thrown, cost: null };
    const { receiptId, cost } = await this.#settlements.settle(call, grant, thrown.quantities, null, outcome);
    const message = `${thrown.message} What had begun to run is billed on receipt ${receiptId}.`;
    return { error: new AppError(thrown.code, { message, cause: thrown }), cost };
  }
}
