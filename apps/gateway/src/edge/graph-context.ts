import type { KeyLimits } from '@weir/contracts';
import { GraphContext } from '@weir/platform/graphql';
import { errorHeaders } from '@weir/platform/http';
import { rateLimitHeaders, type LimitError } from '../inference/admission.ts';
import type { RateLimitState } from '../inference/inference.ts';
import type { EdgeGraphCaller } from './caller.ts';

/** The context of the public graph. */
export class EdgeGraphContext extends GraphContext<EdgeGraphCaller> {
  /** Limits of the API key; null for a session. */
  get limits(): KeyLimits | null {
    return this.caller.limits;
  }

  /** Tells the caller the state of its limit; over a socket there are no headers to tell it in. */
  answerHeaders(rateLimit: RateLimitState, refusal?: LimitError): void {
    const { reply } = this.origin;
    if (reply === undefined || reply.sent) return;
    void reply.headers({ ...rateLimitHeaders(rateLimit), ...(refusal === undefined ? {} : errorHeaders(refusal)) });
  }
}
