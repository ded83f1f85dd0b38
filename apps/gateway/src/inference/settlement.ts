import { Inject, Injectable } from '@nestjs/common';
import { usageRecorded, type Usage, type UsageOutcome, type UsageQuantity } from '@weir/contracts';
import type { Clock, Ids, Money } from '@weir/kernel';
import { CLOCK, IDS, SERVICE, type ServiceIdentity } from '@weir/platform/service';
import { currentTraceparent } from '@weir/platform/telemetry';
import { UsageSpool } from '../spool/usage-spool.ts';
import type { Grant } from './grants.ts';
import type { ReceiptIds } from './idempotency/idempotency-key.ts';
import { latencyMsOf, type InferenceCall } from './inference.ts';

export interface Settlement {
  readonly receiptId: string;
  readonly quantities: readonly UsageQuantity[];
  readonly cost: Money;
  readonly latencyMs: number;
}

/** Step 6, settle: what was used and what it costs, on disk before the answer is sent. */
@Injectable()
export class Settlements {
  readonly #spool: UsageSpool;
  readonly #ids: Ids;
  readonly #clock: Clock;
  readonly #source: string;

  constructor(
    @Inject(UsageSpool) spool: UsageSpool,
    @Inject(IDS) ids: Ids,
    @Inject(CLOCK) clock: Clock,
    @Inject(SERVICE) service: ServiceIdentity,
  ) {
    this.#spool = spool;
    this.#ids = ids;
    this.#clock = clock;
    this.#source = service.name;
  }

  /**
   * @param counted of the call, or of what of it had begun to run when it was interrupted
   * @param receipt ids of the receipt of a call with an idempotency key; null makes a new one
   * @throws usage.unrecordable when it cannot be recorded: then the answer must not be sent
   */
  async settle(
    call: InferenceCall,
    grant: Grant,
    counted: readonly UsageQuantity[],
    receipt: ReceiptIds | null,
    outcome: UsageOutcome = 'answered',
  ): Promise<Settlement> {
    const quantities: UsageQuantity[] = [{ meter: 'requests', quantity: '1' }, ...counted];
    const { cost, lines } = grant.prices.rate(grant.deployment.model, quantities);
    const receiptId = receipt?.id ?? this.#ids.next();
    const occurredAt = new Date(this.#clock.now()).toISOString();
    const latencyMs = latencyMsOf(call);
    const { deployment, prices } = grant;
    const usage: Usage = {
      receiptId,
      ...(receipt === null ? {} : { neighbourReceiptIds: [...receipt.neighbourIds] }),
      tenantId: call.principal.tenantId,
      principalKind: call.principal.kind === 'api-key' ? 'api-key' : 'person',
      principalId: call.principal.id,
      modelId: deployment.modelId,
      model: deployment.model,
      versionId: deployment.versionId,
      version: deployment.version,
      surface: call.surface,
      quantities: lines.map(({ meter, quantity, amount }) => ({ meter, quantity, amount })),
      priceListId: prices.id,
      cost,
      latencyMs,
      occurredAt,
      ...(outcome === 'answered' ? {} : { outcome }),
    };
    // The receipt's id is the event's too: one call, one event, however often it is delivered.
    const envelope = {
      id: receiptId,
      type: usageRecorded.type,
      source: this.#source,
      tenant: usage.tenantId,
      occurredAt,
      traceparent: currentTraceparent(),
      schema: usageRecorded.schemaVersion,
      data: usage,
    };
    await this.#spool.append({ key: usage.tenantId, value: JSON.stringify(envelope) });
    return { receiptId, quantities, cost, latencyMs };
  }
}
