import { AppError } from '@weir/kernel';

/** Calls in progress that can be cancelled, by tenant and the id that the gateway gave them. */
export class CallsInProgress {
  readonly #cancel = new Map<string, () => void>();

  /**
   * @param callId undefined: the call cannot be cancelled but by closing its connection
   * @returns ends it; once
   */
  track(tenantId: string, callId: string | undefined, cancel: () => void): () => void {
    if (callId === undefined) return () => undefined;
    const key = `${tenantId} ${callId}`;
    this.#cancel.set(key, cancel);
    return () => void this.#cancel.delete(key);
  }

  /** @throws request.not_found no such call of the tenant is in progress */
  cancel(tenantId: string, callId: string): void {
    const cancel = this.#cancel.get(`${tenantId} ${callId}`);
    if (cancel === undefined) throw new AppError('request.not_found');
    cancel();
  }
}
