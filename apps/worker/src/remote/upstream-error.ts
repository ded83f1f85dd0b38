import { AppError } from '@weir/kernel';

const SERVER_BUSY_RETRY_MS = 1_000;
const MAX_RETRY_AFTER_SECONDS = 3_600;

/** Another server's answer that is not 200. */
export interface RefusedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** The status of another server's answer, for the log and for the owner of the model. */
export class ServerRefusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`The server that runs the model answered with status ${status}.`);
    this.name = 'ServerRefusal';
    this.status = status;
  }
}

/**
 * The meaning of another server's answer to the caller. Only its status is passed on, in words of ours: its text may hold
 * what it was sent, addresses and secrets, and would make every address that it is published for readable.
 */
export function errorOf({ status, headers }: RefusedAnswer): AppError {
  const cause = new ServerRefusal(status);
  const retryAfterMs = retryAfterMsOf(headers['retry-after']);
  if (status === 429) return new AppError('worker.overloaded', { retryAfterMs: retryAfterMs ?? SERVER_BUSY_RETRY_MS, cause });
  if (status === 408 || status === 504) return new AppError('request.timeout', { cause });
  if (status === 413) return new AppError('request.too_large', { message: refusedWith(status), cause });
  // The model is gone there, or was never there: the next look at it says so to its owner.
  if (status === 404) return new AppError('model.not_ready', { retryAfterMs: SERVER_BUSY_RETRY_MS, cause });
  if (status === 400 || status === 409 || status === 415 || status === 422)
    return new AppError('model.input_invalid', { message: refusedWith(status), cause });
  // Also 401 and 403: it is the operator's secret that is refused, not the caller's.
  return new AppError('worker.unreachable', { message: 'The server that runs the model could not answer.', retryAfterMs, cause });
}

function refusedWith(status: number): string {
  return `The server that runs the model refused the call with status ${status}.`;
}

/** `Retry-After` in seconds, as servers that are overloaded say it. */
function retryAfterMsOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header), MAX_RETRY_AFTER_SECONDS) * 1_000;
}
