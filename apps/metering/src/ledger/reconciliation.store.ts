import { Inject, Injectable } from '@nestjs/common';
import { Database } from '@weir/platform/database';
import type { Reconciliation, SumDifference } from './reconciliation.ts';

const MAX_DIFFERENCES = 100;

/**
 * One statement, so that everything is read at one moment while calls go on being recorded. The cost of a call counts with
 * its quantities; that they sum to the call's own cost is checked too, by comparing the ledger's parts with its wholes.
 */
const DIFFERENCES = `
with ledgered as (
  select model, part.meter, price_list_id, currency, sum(part.quantity) as quantity, sum(part.amount) as cost, count(*) as calls,
    count(*) filter (where part.nth = 1) as leading_calls
  from ledger, rows from (jsonb_to_recordset(quantities) as (meter text, quantity numeric, amount numeric)) with ordinality as part(meter, quantity, amount, nth)
  where tenant_id = $1
  group by 1, 2, 3, 4
), summed as (
  select grain as sums, model, meter, price_list_id, currency, sum(quantity) as quantity, sum(cost) as cost, sum(calls) as calls, sum(leading_calls) as leading_calls
  from usage_buckets where tenant_id = $1 group by 1, 2, 3, 4, 5
  union all
  select 'totals', model, meter, price_list_id, currency, sum(quantity), null, sum(calls), null
  from usage_hours where tenant_id = $1 group by 1, 2, 3, 4, 5
), expected as (
  select * from (values ('minute'), ('hour'), ('day'), ('totals')) as kinds(sums), ledgered
)
select sums, model, meter, price_list_id, currency,
  trim_scale(coalesce(expected.quantity, 0))::text as ledger_quantity, trim_scale(coalesce(summed.quantity, 0))::text as summed_quantity,
  trim_scale(coalesce(expected.cost, 0))::text as ledger_cost, trim_scale(coalesce(summed.cost, case when sums = 'totals' then expected.cost end, 0))::text as summed_cost,
  coalesce(expected.calls, 0)::text as ledger_calls, coalesce(summed.calls, 0)::text as summed_calls,
  coalesce(expected.leading_calls, 0)::text as ledger_leading_calls,
  coalesce(summed.leading_calls, case when sums = 'totals' then expected.leading_calls end, 0)::text as summed_leading_calls
from expected full join summed using (sums, model, meter, price_list_id, currency)
where expected.quantity is distinct from summed.quantity or expected.calls is distinct from summed.calls
  or (sums <> 'totals' and (expected.cost is distinct from summed.cost or expected.leading_calls is distinct from summed.leading_calls))
order by sums, model, meter, price_list_id, currency limit ${MAX_DIFFERENCES}`;

const CALLS = `
select count(*)::text as calls, count(*) filter (where cost <> (select sum(amount) from jsonb_to_recordset(quantities) as part(amount numeric)))::text as torn
from ledger where tenant_id = $1`;

interface DifferenceRow {
  readonly sums: SumDifference['sums'];
  readonly model: string;
  readonly meter: string;
  readonly price_list_id: string;
  readonly currency: string;
  readonly ledger_quantity: string;
  readonly summed_quantity: string;
  readonly ledger_cost: string;
  readonly summed_cost: string;
  readonly ledger_calls: string;
  readonly summed_calls: string;
  readonly ledger_leading_calls: string;
  readonly summed_leading_calls: string;
}

/** Compares the ledger with what was summed from it. Reads every call of the tenant: for tests and for the operator's doubts. */
@Injectable()
export class ReconciliationStore {
  readonly #database: Database;

  constructor(@Inject(Database) database: Database) {
    this.#database = database;
  }

  async reconcile(tenantId: string): Promise<Reconciliation> {
    return this.#database.sqlTransaction(tenantId, async (client) => {
      const { rows } = await client.query<DifferenceRow>(DIFFERENCES, [tenantId]);
      const counted = await client.query<{ calls: string; torn: string }>(CALLS, [tenantId]);
      const { calls = '0', torn = '0' } = counted.rows[0] ?? {};
      return { tenantId, calls: Number(calls), isReconciled: rows.length === 0 && torn === '0', differences: rows.map(differenceOf) };
    });
  }
}

function differenceOf(row: DifferenceRow): SumDifference {
  return {
    sums: row.sums,
    model: row.model,
    meter: row.meter,
    priceListId: row.price_list_id,
    currency: row.currency,
    ledgerQuantity: row.ledger_quantity,
    summedQuantity: row.summed_quantity,
    ledgerCost: row.ledger_cost,
    summedCost: row.summed_cost,
    ledgerCalls: Number(row.ledger_calls),
    summedCalls: Number(row.summed_calls),
    ledgerLeadingCalls: Number(row.ledger_leading_calls),
    summedLeadingCalls: Number(row.summed_leading_calls),
  };
}
