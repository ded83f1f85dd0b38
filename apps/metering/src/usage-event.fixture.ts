import { usageRecorded, type EventEnvelope, type Usage } from '@weir/contracts';

let made = 0;

/** A call as the gateway tells of it: one request with one input by an API key of tenant `acme`. Each has a receipt of its own. */
export function aUsage(changes: Partial<Usage> = {}): Usage {
  made += 1;
  return {
    receiptId: `receipt-${String(made).padStart(6, '0')}`,
    tenantId: 'acme',
    principalKind: 'api-key',
    principalId: 'key-1',
    modelId: 'model-digits',
    model: 'digits',
    versionId: 'version-1',
    version: '1',
    surface: 'graphql',
    quantities: [
      { meter: 'requests', quantity: '1', amount: '0.0005' },
      { meter: 'inputs', quantity: '1', amount: '0.00012' },
    ],
    priceListId: 'list-1',
    cost: { amount: '0.00062', currency: 'EUR' },
    latencyMs: 12.5,
    occurredAt: '2026-03-01T10:15:30.250Z',
    ...changes,
  };
}

/** The event around it, in the tenant of the call. */
export function aUsageEvent(changes: Partial<Usage> = {}): EventEnvelope<Usage> {
  const data = aUsage(changes);
  return {
    id: `event-${data.receiptId}`,
    type: usageRecorded.type,
    source: 'gateway/1',
    tenant: data.tenantId,
    occurredAt: data.occurredAt,
    schema: usageRecorded.schemaVersion,
    data,
  };
}
