/**
 * The one statement that records a batch of calls: ledger, sums of three grains, hourly totals with their revision, the
 * events that tell of them, and the position in the topic. All or nothing, and nothing twice:
 *
 * - `recorded` returns only calls that were not in the ledger (by tenant, source and event id, and by the receipts that a call
 *   with an idempotency key may have had less than a day before or after); everything after it is made
 *   of those alone. So a batch that is delivered again, an event that its producer sent twice, and a consumer that lost its
 *   partition and does not know it yet change nothing. The position decides nothing: were the bus exchanged for another,
 *   whose offsets begin anew, nothing would be passed over;
 * - every write goes through its rows in the order of their key, so that two statements which touch the same rows lock
 *   them in the same order and cannot deadlock.
 *
 * Parameters: 1 entries as JSON, 2 topic, 3 partition, 4 offset behind the batch,
 * 5 ids for the announcements, 6 source of the announcements, 7 now, 8 traceparent or null.
 */
export const RECORD_CALLS = `
with recorded as (
  insert into ledger (tenant_id, source, event_id, receipt_id, occurred_at, principal_kind, principal_id, model_id, model, version_id, version,
    surface, quantities, price_list_id, currency, cost, latency_ms, outcome)
  select "tenantId", "source", "eventId", "receiptId", "occurredAt", "principalKind", "principalId", "modelId", "model", "versionId", "version",
    "surface", "quantities", "priceListId", "currency", "cost", "latencyMs", "outcome"
  from json_to_recordset($1::json) as entry("neighbourReceiptIds" text[], "tenantId" text, "source" text, "eventId" text, "receiptId" text, "occurredAt" timestamptz,
    "principalKind" text, "principalId" text, "modelId" text, "model" text, "versionId" text, "version" text, "surface" text, "quantities" jsonb,
    "priceListId" text, "currency" text, "cost" numeric, "latencyMs" double precision, "outcome" text)
  where "neighbourReceiptIds" is null or not exists (
    select from ledger as other where other.tenant_id = entry."tenantId" and other.receipt_id = any(entry."neighbourReceiptIds")
      and other.occurred_at > entry."occurredAt" - interval '24 hours' and other.occurred_at < entry."occurredAt" + interval '24 hours')
  order by "tenantId", "source", "eventId"
  on conflict (tenant_id, source, event_id) do nothing
  returning *
), used as materialized (
  select recorded.*, part.meter, part.quantity, part.amount, part.nth
  from recorded, rows from (jsonb_to_recordset(recorded.quantities) as (meter text, quantity numeric, amount numeric)) with ordinality as part(meter, quantity, amount, nth)
), summed as (
  insert into usage_buckets as bucket (tenant_id, grain, bucket_start, principal_kind, principal_id, model_id, model, meter, price_list_id, currency,
    quantity, cost, calls, leading_calls)
  select tenant_id, grain, date_trunc(grain, occurred_at, 'UTC') as bucket_start, principal_kind, principal_id, model_id, model, meter, price_list_id, currency,
    sum(quantity), sum(amount), count(*), count(*) filter (where nth = 1)
  from used, (values ('minute'), ('hour'), ('day')) as grains(grain)
  group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
  order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
  on conflict (tenant_id, grain, bucket_start, principal_kind, principal_id, model_id, model, meter, price_list_id, currency) do update set
    quantity = bucket.quantity + excluded.quantity,
    cost = bucket.cost + excluded.cost,
    calls = bucket.calls + excluded.calls,
    leading_calls = bucket.leading_calls + excluded.leading_calls
), totalled as (
  insert into usage_hours as total (tenant_id, hour_start, model_id, model, meter, price_list_id, currency, quantity, calls, revision)
  select tenant_id, date_trunc('hour', occurred_at, 'UTC'), model_id, model, meter, price_list_id, currency, sum(quantity), count(*), 1
  from used
  group by 1, 2, 3, 4, 5, 6, 7
  order by 1, 2, 3, 4, 5, 6, 7
  on conflict (tenant_id, hour_start, model_id, model, meter, price_list_id, currency) do update set
    quantity = total.quantity + excluded.quantity,
    calls = total.calls + excluded.calls,
    revision = total.revision + 1
  returning *
), announced as (
  insert into outbox (topic, key, value, headers)
  select 'metering.usage-rolled', tenant_id,
    json_strip_nulls(json_build_object(
      'id', ($5::text[])[row_number() over ()],
      'type', 'metering.usage.rolled.v1',
      'source', $6::text,
      'tenant', tenant_id,
      'occurredAt', $7::text,
      'traceparent', $8::text,
      'schema', 1,
      'data', json_build_object(
        'tenantId', tenant_id,
        'hourStart', to_char(hour_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
        'modelId', model_id,
        'model', model,
        'meter', meter,
        'priceListId', price_list_id,
        'currency', currency,
        'quantity', trim_scale(quantity)::text,
        'calls', calls,
        'revision', revision)))::text,
    jsonb_strip_nulls(jsonb_build_object('event-type', 'metering.usage.rolled.v1', 'traceparent', $8::text))
  from totalled
), moved as (
  insert into inbox_offsets as inbox (topic, partition, next_offset) values ($2, $3, $4)
  on conflict (topic, partition) do update set next_offset = excluded.next_offset where inbox.next_offset < excluded.next_offset
)
select count(*)::int as recorded from recorded
`;
