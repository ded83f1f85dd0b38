import { Inject, Injectable } from '@nestjs/common';
import { FairSemaphore, type GraphContext } from '@weir/platform/graphql';
import { SETTINGS } from '@weir/platform/service';
import { ClientAddresses } from '../edge/client-addresses.ts';
import type { GatewaySettings } from '../settings.ts';

/** Operations of all tenants in progress at once: more only share the one thread that serves them. */
const OPERATIONS = 256;
const ANONYMOUS_OPERATIONS = 64;
/** How many of a tenant's operations wait, for each that may be in progress. */
const WAITING_PER_OPERATION = 16;
/** How long an operation waits: as long as a service has to answer. */
const WAIT_MS = 5_000;

/** Fields that the inference pipeline admits by limits of its own; they wait for models, which takes nothing of the graph. */
const ADMITTED_BY_THE_PIPELINE: ReadonlySet<string> = new Set(['infer', 'inferMany']);

/**
 * Bounds the GraphQL operations in progress: of each tenant, and, without a credential, of each address. An operation above them waits
 * briefly in its tenant's queue, and is refused with `limit.in_flight` when that is full.
 */
@Injectable()
export class OperationLimits {
  readonly #ofTenants: FairSemaphore;
  readonly #ofAddresses: FairSemaphore;

  constructor(
    @Inject(SETTINGS) settings: Pick<GatewaySettings, 'operationsPerTenant' | 'operationsPerAddress'>,
    @Inject(ClientAddresses) private readonly addresses: ClientAddresses,
  ) {
    const { operationsPerTenant, operationsPerAddress } = settings;
    this.#ofTenants = new FairSemaphore({
      permits: Math.max(OPERATIONS, operationsPerTenant),
      permitsPerKey: operationsPerTenant,
      waitingPerKey: operationsPerTenant * WAITING_PER_OPERATION,
      refusal: `A tenant may have ${operationsPerTenant} GraphQL operations in progress.`,
    });
    this.#ofAddresses = new FairSemaphore({
      permits: Math.max(ANONYMOUS_OPERATIONS, operationsPerAddress),
      permitsPerKey: operationsPerAddress,
      waitingPerKey: 0,
      refusal: `Without a credential an address may have ${operationsPerAddress} GraphQL operations in progress.`,
    });
  }

  /** @returns releases the permit; undefined for operations that only ask for inference */
  admit(rootFields: ReadonlySet<string>, context: GraphContext): Promise<() => void> | undefined {
    if ([...rootFields].every((field) => ADMITTED_BY_THE_PIPELINE.has(field))) return undefined;
    const wait = { timeoutMs: WAIT_MS, signal: () => context.signal };
    return context.principal === undefined
      ? this.#ofAddresses.acquire(this.addresses.networkOf(context.request), wait)
      : this.#ofTenants.acquire(context.principal.tenantId, wait);
  }
}
