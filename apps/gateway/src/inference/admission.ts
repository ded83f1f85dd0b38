import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import { SETTINGS } from '@weir/platform/service';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { GatewaySettings } from '../settings.ts';
import type { InferenceCall, RateLimitState } from './inference.ts';

const WINDOW_SECONDS = 60;

/** Leave to run, until it is released. */
export interface Permit {
  readonly rateLimit: RateLimitState;
  /** Ends the call's place among those in flight. Once. */
  release(): void;
}

/** A refusal that tells the caller its limit's state. */
export class LimitError extends AppError {
  readonly rateLimit: RateLimitState;
  constructor(code: 'limit.requests' | 'limit.in_flight', rateLimit: RateLimitState, retryAfterMs: number) {
    super(code, { retryAfterMs });
    this.rateLimit = rateLimit;
  }
}

/** Wait that is advised to a caller with too many calls in flight: about the time of a quick answer. */
const IN_FLIGHT_RETRY_MS = 1_000;

/**
 * Step 3, admit, by the limits of the key: requests in a window of a minute, and requests in flight.
 * Counted in this process; keyed by tenant and principal. Memory is bounded by the keys seen within a minute.
 */
@Injectable()
export class Admission {
  readonly #settings: Pick<GatewaySettings, 'requestsPerMinute' | 'maxInFlight'>;
  /** One limiter for each limit that is in use. */
  readonly #limiters = new Map<number, RateLimiterMemory>();
  readonly #inFlight = new Map<string, number>();

  constructor(@Inject(SETTINGS) settings: GatewaySettings) {
    this.#settings = settings;
  }

  /** @throws LimitError limit.requests or limit.in_flight */
  async admit(call: InferenceCall): Promise<Permit> {
    const subject = `${call.principal.tenantId} ${call.principal.id}`;
    const limit = call.limits?.requestsPerMinute ?? this.#settings.requestsPerMinute;
    const rateLimit = await this.#countRequest(subject, limit);
    const inFlight = this.#inFlight.get(subject) ?? 0;
    if (inFlight >= (call.limits?.maxInFlight ?? this.#settings.maxInFlight))
      throw new LimitError('limit.in_flight', rateLimit, IN_FLIGHT_RETRY_MS);
    this.#inFlight.set(subject, inFlight + 1);
    return { rateLimit, release: () => this.#leave(subject) };
  }

  async #countRequest(subject: string, limit: number): Promise<RateLimitState> {
    try {
      return stateOf(limit, await this.#limiter(limit).consume(subject));
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      const state = stateOf(limit, refused);
      throw new LimitError('limit.requests', state, state.resetMs);
    }
  }

  #limiter(limit: number): RateLimiterMemory {
    let limiter = this.#limiters.get(limit);
    if (limiter === undefined) {
      limiter = new RateLimiterMemory({ points: limit, duration: WINDOW_SECONDS });
      this.#limiters.set(limit, limiter);
    }
    return limiter;
  }

  #leave(subject: string): void {
    const rest = (this.#inFlight.get(subject) ?? 1) - 1;
    if (rest > 0) this.#inFlight.set(subject, rest);
    else this.#inFlight.delete(subject);
  }
}

function stateOf(limit: number, result: RateLimiterRes): RateLimitState {
  return { limit, remaining: Math.max(0, result.remainingPoints), resetMs: Math.max(0, result.msBeforeNext) };
}

/** The headers of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10). */
export function rateLimitHeaders(state: RateLimitState): Record<string, string> {
  return {
    'ratelimit-policy': `"requests";q=${state.limit};w=${WINDOW_SECONDS}`,
    ratelimit: `"requests";r=${state.remaining};t=${Math.ceil(state.resetMs / 1000)}`,
  };
}
