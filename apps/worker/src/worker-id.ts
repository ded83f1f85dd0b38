/** Injection token of this worker's name among workers. */
export const WORKER_ID = Symbol('weir.worker-id');
