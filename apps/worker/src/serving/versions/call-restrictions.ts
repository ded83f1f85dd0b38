import { AppError } from '@weir/kernel';
import type { CallRestriction } from '../control-messages.ts';

interface HeldRestriction extends CallRestriction {
  readonly receivedAtMs: number;
}

const MIN_RETRY_AFTER_MS = 1_000;

/** Restrictions on the callers of this process after crashes. The supervisor sends the full set on each change. */
export class CallRestrictions {
  #byCaller = new Map<string, HeldRestriction>();

  replace(restrictions: readonly CallRestriction[]): void {
    const receivedAtMs = performance.now();
    // Of two for the same calls the refusal counts.
    const refusalsLast = restrictions.toSorted((a, b) => Number(a.refusedForMs !== null) - Number(b.refusedForMs !== null));
    this.#byCaller = new Map(refusalsLast.map((one) => [keyOf(one.versionId, one.tenantId, one.shapeClass), { ...one, receivedAtMs }]));
  }

  /**
   * @returns true when the call has to run alone
   * @throws model.input_refused when calls like this one crashed the process
   */
  admit(versionId: string, tenantId: string, shapeClass: string): boolean {
    if (this.#byCaller.size === 0) return false;
    const found = [null, shapeClass].flatMap((one) => this.#byCaller.get(keyOf(versionId, tenantId, one)) ?? []);
    const refusal = found.find(({ refusedForMs }) => refusedForMs !== null);
    if (refusal === undefined) return found.length > 0;
    const { receivedAtMs } = refusal;
    const refusedForMs = refusal.refusedForMs ?? 0;
    const retryAfterMs = Math.max(MIN_RETRY_AFTER_MS, refusedForMs - (performance.now() - receivedAtMs));
    const which = refusal.shapeClass === null ? 'calls of this model' : 'calls of this size';
    throw new AppError('model.input_refused', {
      message: `A call of yours like this one crashed or hung the model. Your ${which} are refused for ${Math.ceil(retryAfterMs / 1_000)} s.`,
      retryAfterMs,
    });
  }
}

function keyOf(versionId: string, tenantId: string, shapeClass: string | null): string {
  return JSON.stringify([versionId, tenantId, shapeClass]);
}
