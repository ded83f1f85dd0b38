import { Inject, Injectable } from '@nestjs/common';
import { periodTotalled, usageRolled, type PeriodTotal, type UsageRolled } from '@weir/contracts';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import type { Period } from './period.ts';

/** From tenant to tenant along the primary key: `distinct` would read the hours of all years. */
const TENANTS = `
with recursive tenants as (
  (select tenant_id from usage_hours order by tenant_id limit 1)
  union all
  select (select next.tenant_id from usage_hours as next where next.tenant_id > tenants.tenant_id order by next.tenant_id limit 1)
  from tenants where tenants.tenant_id is not null
)
select tenant_id from tenants where tenant_id is not null and exists (
  select from usage_hours as used where used.tenant_id = tenants.tenant_id and used.hour_start >= $1 and used.hour_start < $2)`;

const TOTALS = `
select meter, price_list_id as "priceListId", currency, trim_scale(sum(quantity))::text as quantity, sum(calls)::text as calls
from usage_hours where tenant_id = $1 and hour_start >= $2 and hour_start < $3
group by 1, 2, 3 order by 1, 2, 3`;

const HOURS = `select distinct hour_start from usage_hours where tenant_id = $1 and hour_start >= $2 and hour_start < $3 order by 1`;

/** Locks in the order of the key, as recording does. A greater revision makes the repetition the latest word on an equal count of calls. */
const REVISE_HOUR = `
with locked as (
  select tenant_id, hour_start, model_id, model, meter, price_list_id, currency from usage_hours
  where tenant_id = $1 and hour_start = $2 order by 1, 2, 3, 4, 5, 6, 7 for update
)
update usage_hours as hour set revision = revision + 1 from locked
where hour.tenant_id = locked.tenant_id and hour.hour_start = locked.hour_start and hour.model_id = locked.model_id
  and hour.model = locked.model and hour.meter = locked.meter and hour.price_list_id = locked.price_list_id and hour.currency = locked.currency
returning hour.model_id as "modelId", hour.model, hour.meter, hour.price_list_id as "priceListId", hour.currency,
  trim_scale(hour.quantity)::text as quantity, hour.calls::text as calls, hour.revision::text as revision`;

type Counted<T> = { readonly [K in keyof T]: T[K] extends number ? string : T[K] };

/** States and repeats what billing has to know of a period. */
@Injectable()
export class PeriodTotalsStore {
  readonly #database: Database;
  readonly #outbox: Outbox;

  constructor(@Inject(Database) database: Database, @Inject(Outbox) outbox: Outbox) {
    this.#database = database;
    this.#outbox = outbox;
  }

  /** Tenants with usage in a period. */
  async tenants({ start, through }: Period): Promise<string[]> {
    return this.#database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      const { rows } = await tx.query<{ tenant_id: string }>(TENANTS, [start, through]);
      return rows.map((row) => row.tenant_id);
    });
  }

  /** Announces the totals of a period, behind every hourly sum that they hold. */
  async state(tenantId: string, { start, through }: Period): Promise<void> {
    await this.#database.sqlTransaction(tenantId, async (tx) => {
      const { rows } = await tx.query<Counted<PeriodTotal>>(TOTALS, [tenantId, start, through]);
      const totals = rows.map((row) => ({ ...row, calls: Number(row.calls) }));
      const data = { tenantId, periodStart: start.toISOString(), through: through.toISOString(), totals };
      await this.#outbox.publish(tx, periodTotalled, data, { tenant: tenantId });
    });
  }

  /** Announces every hourly sum of a period again, with a greater revision, an hour in each transaction. */
  async repeat(tenantId: string, { start, through }: Period): Promise<void> {
    const { rows: hours } = await this.#database.sqlTransaction(tenantId, (tx) =>
      tx.query<{ hour_start: Date }>(HOURS, [tenantId, start, through]),
    );
    for (const { hour_start: hour } of hours) {
      await this.#database.sqlTransaction(tenantId, async (tx) => {
        const { rows } = await tx.query<Counted<Omit<UsageRolled, 'tenantId' | 'hourStart'>>>(REVISE_HOUR, [tenantId, hour]);
        for (const row of rows) {
          const counts = { calls: Number(row.calls), revision: Number(row.revision) };
          const data = { ...row, ...counts, tenantId, hourStart: hour.toISOString() };
          await this.#outbox.publish(tx, usageRolled, data, { tenant: tenantId });
        }
      });
    }
  }
}
