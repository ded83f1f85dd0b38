import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '@weir/kernel';
import { SETTINGS } from '@weir/platform/service';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { GatewaySettings } from '../settings.ts';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import type { InferenceCall, RateLimitState } from './inference.ts';

const WINDOW_SECONDS = 60;

/** Leave to run, until it is released. */
export interface Permit {
  readonly rateLimit: RateLimitState;
  /** Ends the call's place among those in flight. Once. */
  release(): void;
}

/** Scope of the limit that refused a call: its key, its tenant (shared by all the tenant's calls), or the gateway. */
export type LimitOwner = 'key' | 'tenant' | 'gateway';

const MESSAGES = {
  'limit.requests': {
    key: 'The key has used its requests for this minute.',
    tenant: "The tenant's keys and people have together used the tenant's requests for this minute.",
  },
  'limit.in_flight': {
    key: 'The key has too many requests in flight.',
    tenant: "The tenant's keys and people have together too many requests in flight.",
    gateway: 'The platform is busy, and the tenant has its share of the requests in flight.',
  },
} as const;

/** A refusal that tells the caller its limit's state. */
export class LimitError extends AppError {
  readonly rateLimit: RateLimitState;

  constructor(
    refusal: { code: 'limit.requests'; of: 'key' | 'tenant' } | { code: 'limit.in_flight'; of: LimitOwner },
    rateLimit: RateLimitState,
  ) {
    const message = refusal.code === 'limit.requests' ? MESSAGES[refusal.code][refusal.of] : MESSAGES[refusal.code][refusal.of];
    super(refusal.code, { message, retryAfterMs: refusal.code === 'limit.requests' ? rateLimit.resetMs : IN_FLIGHT_RETRY_MS });
    this.rateLimit = rateLimit;
  }
}

/** Wait that is advised to a caller with too many calls in flight: about the time of a quick answer. */
const IN_FLIGHT_RETRY_MS = 1_000;

/**
 * Step 3, admit: requests in a window of a minute, and requests in flight, of the key and of its tenant. The tenant's limits are the
 * operator's and are shared by all of its keys and people, so a key's own limit, which the tenant chooses, only ever lowers them.
 *
 * The calls in flight of the whole gateway are bounded, and shared by a dynamic threshold (Choudhury and Hahne, "Dynamic queue
 * length thresholds for shared-memory packet switches", 1998, with a factor of 1): a tenant is admitted while it holds fewer
 * than are free. One tenant alone holds up to half of them, n tenants 1/(n+1) each, and a tenant with none in flight always finds one.
 *
 * Counted in this process. Memory is bounded by the keys and tenants seen within a minute.
 */
@Injectable()
export class Admission {
  readonly #settings: AdmissionSettings;
  readonly #tenants: Pick<Catalogue, 'tenant'>;
  /** One limiter for each limit that is in use. */
  readonly #limiters = new Map<number, RateLimiterMemory>();
  /** By tenant and principal, and by tenant. */
  readonly #inFlight = new Map<string, number>();
  #allInFlight = 0;

  constructor(@Inject(SETTINGS) settings: AdmissionSettings, @Inject(CATALOGUE) tenants: Pick<Catalogue, 'tenant'>) {
    this.#settings = settings;
    this.#tenants = tenants;
  }

  /** @throws LimitError limit.requests or limit.in_flight, naming whose limit it is */
  async admit(call: Pick<InferenceCall, 'principal' | 'limits'>): Promise<Permit> {
    const { tenantId } = call.principal;
    const subject = `${tenantId} ${call.principal.id}`;
    const { ofKey, ofTenant } = this.#limitsOf(call);
    // The key first: what its own limit refuses takes nothing from the tenant's other keys.
    const ofKeyAlone =
      ofKey.requestsPerMinute < ofTenant.requestsPerMinute ? await this.#countRequest('key', subject, ofKey.requestsPerMinute) : null;
    const ofAll = await this.#countRequest('tenant', tenantId, ofTenant.requestsPerMinute);
    const rateLimit = ofKeyAlone !== null && ofKeyAlone.remaining <= ofAll.remaining ? ofKeyAlone : ofAll;
    this.#assertInFlight(subject, tenantId, ofKey.maxInFlight, ofTenant.maxInFlight, rateLimit);
    this.#enter(subject, tenantId);
    return { rateLimit, release: () => this.#leave(subject, tenantId) };
  }

  #limitsOf({ principal, limits }: Pick<InferenceCall, 'principal' | 'limits'>): Record<'ofKey' | 'ofTenant', Limits> {
    const settings = this.#settings;
    const tenant = this.#tenants.tenant(principal.tenantId)?.limits;
    return {
      ofKey: {
        requestsPerMinute: limits?.requestsPerMinute ?? settings.requestsPerMinute,
        maxInFlight: limits?.maxInFlight ?? settings.maxInFlight,
      },
      ofTenant: {
        requestsPerMinute: tenant?.requestsPerMinute ?? settings.tenantRequestsPerMinute,
        maxInFlight: tenant?.maxInFlight ?? settings.tenantMaxInFlight,
      },
    };
  }

  async #countRequest(of: 'key' | 'tenant', subject: string, limit: number): Promise<RateLimitState> {
    try {
      return stateOf(of, limit, await this.#limiter(limit).consume(subject));
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      throw new LimitError({ code: 'limit.requests', of }, stateOf(of, limit, refused));
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

  #assertInFlight(subject: string, tenantId: string, keyLimit: number, tenantLimit: number, rateLimit: RateLimitState): void {
    const ofTenant = this.#inFlight.get(tenantId) ?? 0;
    const free = this.#settings.gatewayMaxInFlight - this.#allInFlight;
    if ((this.#inFlight.get(subject) ?? 0) >= keyLimit) throw new LimitError({ code: 'limit.in_flight', of: 'key' }, rateLimit);
    if (ofTenant >= tenantLimit) throw new LimitError({ code: 'limit.in_flight', of: 'tenant' }, rateLimit);
    if (ofTenant >= free) throw new LimitError({ code: 'limit.in_flight', of: 'gateway' }, rateLimit);
  }

  #enter(...subjects: readonly string[]): void {
    this.#allInFlight++;
    for (const subject of subjects) this.#inFlight.set(subject, (this.#inFlight.get(subject) ?? 0) + 1);
  }

  #leave(...subjects: readonly string[]): void {
    this.#allInFlight--;
    for (const subject of subjects) {
      const rest = (this.#inFlight.get(subject) ?? 1) - 1;
      if (rest > 0) this.#inFlight.set(subject, rest);
      else this.#inFlight.delete(subject);
    }
  }
}

interface Limits {
  readonly requestsPerMinute: number;
  readonly maxInFlight: number;
}

type AdmissionSettings = Pick<
  GatewaySettings,
  'requestsPerMinute' | 'maxInFlight' | 'tenantRequestsPerMinute' | 'tenantMaxInFlight' | 'gatewayMaxInFlight'
>;

function stateOf(of: 'key' | 'tenant', limit: number, result: RateLimiterRes): RateLimitState {
  return { of, limit, remaining: Math.max(0, result.remainingPoints), resetMs: Math.max(0, result.msBeforeNext) };
}

const POLICIES = { key: 'requests', tenant: 'tenant-requests' } as const;

/** The headers of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10). */
export function rateLimitHeaders(state: RateLimitState): Record<string, string> {
  const policy = POLICIES[state.of];
  return {
    'ratelimit-policy': `"${policy}";q=${state.limit};w=${WINDOW_SECONDS}`,
    ratelimit: `"${policy}";r=${state.remaining};t=${Math.ceil(state.resetMs / 1000)}`,
  };
}
