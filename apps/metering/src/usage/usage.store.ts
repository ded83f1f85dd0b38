import { Inject, Injectable } from '@nestjs/common';
import { Database } from '@weir/platform/database';
import type { UsageQuery, UsageRow, UsageTotals } from './usage-query.ts';

interface SummedRow {
  readonly bucket_start: Date;
  readonly currency: string;
  readonly model: string;
  readonly principal_kind: string;
  readonly principal_id: string;
  readonly meter: string;
  readonly quantity: string;
  readonly cost: string;
  readonly calls: string;
}

interface TotalsRow {
  readonly kind: 'cost' | 'quantity';
  readonly name: string;
  readonly amount: string;
  readonly calls: string;
}

const FILTER = `grain = $1 and bucket_start >= $2 and bucket_start < $3 and ($4::text is null or model = $4) and ($5::text is null or principal_id = $5)`;

/**
 * Rows are kept apart by what $6 (model), $7 (principal) and $8 (meter) say; a dimension that is not asked for is the same
 * empty text in every row, so that one statement, one order and one cursor serve every grouping. A call is counted by its
 * leading meter unless rows are kept apart by meter, so it counts once.
 */
const ROWS = `
select bucket_start, currency, model, principal_kind, principal_id, meter, quantity, cost, calls from (
  select bucket_start, currency,
    case when $6 then model else '' end as model,
    case when $7 then principal_kind else '' end as principal_kind,
    case when $7 then principal_id else '' end as principal_id,
    case when $8 then meter else '' end as meter,
    trim_scale(sum(quantity))::text as quantity,
    trim_scale(sum(cost))::text as cost,
    (case when $8 then sum(calls) else sum(leading_calls) end)::text as calls
  from usage_buckets where ${FILTER}
  group by 1, 2, 3, 4, 5, 6
) as summed
where $9::timestamptz is null or bucket_start < $9
  or (bucket_start = $9 and (currency, model, principal_kind, principal_id, meter) > ($10::text, $11::text, $12::text, $13::text, $14::text))
order by bucket_start desc, currency, model, principal_kind, principal_id, meter
limit $15`;

const TOTALS = `
select 'cost' as kind, currency as name, trim_scale(sum(cost))::text as amount, sum(leading_calls)::text as calls from usage_buckets where ${FILTER} group by currency
union all
select 'quantity', meter, trim_scale(sum(quantity))::text, '0' from usage_buckets where ${FILTER} group by meter
order by 1, 2`;

/** Reads the sums of usage. */
@Injectable()
export class UsageStore {
  readonly #database: Database;

  constructor(@Inject(Database) database: Database) {
    this.#database = database;
  }

  /** Up to `take` rows behind the sort key `after`, newest period first. */
  async rows(tenantId: string, query: UsageQuery, after: readonly string[] | null, take: number): Promise<UsageRow[]> {
    const { dimensions } = query;
    const [hasModel, hasPrincipal, hasMeter] = [dimensions.has('model'), dimensions.has('principal'), dimensions.has('meter')];
    const values = [...filterOf(query), hasModel, hasPrincipal, hasMeter, ...(after ?? [null, null, null, null, null, null]), take];
    const { rows } = await this.#database.sqlTransaction(tenantId, (client) => client.query<SummedRow>(ROWS, values));
    return rows.map((row) => ({
      bucketStart: row.bucket_start,
      model: hasModel ? row.model : null,
      principalKind: hasPrincipal ? row.principal_kind : null,
      principalId: hasPrincipal ? row.principal_id : null,
      meter: hasMeter ? row.meter : null,
      quantity: hasMeter ? row.quantity : null,
      calls: Number(row.calls),
      cost: { amount: row.cost, currency: row.currency },
    }));
  }

  async totals(tenantId: string, query: UsageQuery): Promise<UsageTotals> {
    const { rows } = await this.#database.sqlTransaction(tenantId, (client) => client.query<TotalsRow>(TOTALS, filterOf(query)));
    const costs = rows.filter((row) => row.kind === 'cost');
    return {
      calls: costs.reduce((calls, row) => calls + Number(row.calls), 0),
      costs: costs.map((row) => ({ amount: row.amount, currency: row.name })),
      quantities: rows.filter((row) => row.kind === 'quantity').map((row) => ({ meter: row.name, quantity: row.amount })),
    };
  }
}

function filterOf(query: UsageQuery): unknown[] {
  return [query.grain, query.from, query.to, query.model, query.principalId];
}
