import { AppError } from '@weir/kernel';
import { scrubbed } from '../serving/runtime/scrub.ts';

const SERVER_BUSY_RETRY_MS = 1_000;
const MAX_RETRY_AFTER_SECONDS = 3_600;

/** What another server answered that is not 200. */
export interface RefusedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** What another server answered, for the log and for the owner of the model; its message holds no path, address or secret. */
export class ServerRefusal extends Error {
  readonly status: number;

  constructor(status: number, said: string | undefined) {
    super(`The server that runs the model answered ${status}${said === undefined ? '.' : `: ${said}`}`);
    this.name = 'ServerRefusal';
    this.status = status;
  }
}

/**
 * What the answer of another server means to the caller. What it says of the input is handed on, without paths, addresses
 * and the secret; what it says of itself is for the log.
 */
export function errorOf({ status, headers, body }: RefusedAnswer, secret: string | undefined): AppError {
  const said = messageOf(body, secret);
  const cause = new ServerRefusal(status, said);
  const retryAfterMs = retryAfterMsOf(headers['retry-after']);
  if (status === 429) return new AppError('worker.overloaded', { retryAfterMs: retryAfterMs ?? SERVER_BUSY_RETRY_MS, cause });
  if (status === 408 || status === 504) return new AppError('request.timeout', { cause });
  if (status === 413)
    return new AppError('request.too_large', {
      message: `The server that runs the model refused the call: ${said ?? 'it is too large'}`,
      cause,
    });
  // The model is gone there, or was never there: the next look at it says so to its owner.
  if (status === 404) return new AppError('model.not_ready', { retryAfterMs: SERVER_BUSY_RETRY_MS, cause });
  if (status === 400 || status === 409 || status === 415 || status === 422)
    return new AppError('model.input_invalid', {
      message: `The server that runs the model refused the call: ${said ?? `it answered ${status}`}`,
      cause,
    });
  // Also 401 and 403: it is the operator's secret that is refused, not the caller's.
  return new AppError('worker.unreachable', { message: 'The server that runs the model could not answer.', retryAfterMs, cause });
}

/** `Retry-After` in seconds, as servers that are overloaded say it. */
function retryAfterMsOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header), MAX_RETRY_AFTER_SECONDS) * 1_000;
}

/** `{"error": "…"}` of the Open Inference Protocol, `{"error": {"message": "…"}}` of OpenAI's API, `{"detail": …}` of FastAPI. */
function messageOf(body: Buffer, secret: string | undefined): string | undefined {
  const text = textOf(json(body));
  if (text === undefined || text === '') return undefined;
  const withoutSecret = secret === undefined ? text : text.replaceAll(secret, '[secret]');
  return scrubbed(withoutSecret.replaceAll(/\b[a-z][a-z+.-]*:\/\/[^\s"'<>)]+/gi, '[address]'));
}

function json(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // A page for people, of a proxy say: nothing that a caller could use.
    return undefined;
  }
}

function textOf(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined;
  if ('error' in answer) {
    const { error } = answer;
    if (typeof error === 'string') return error;
    if (typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string') return error.message;
  }
  if ('detail' in answer) return typeof answer.detail === 'string' ? answer.detail : JSON.stringify(answer.detail);
  if ('message' in answer && typeof answer.message === 'string') return answer.message;
  return undefined;
}
