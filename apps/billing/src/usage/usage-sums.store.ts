import { Inject, Injectable } from '@nestjs/common';
import type { UsageRolled } from '@weir/contracts';
import { Database } from '@weir/platform/database';
import type pg from 'pg';

type Connection = Pick<pg.PoolClient, 'query'>;

/**
 * Keeps of each total the version with the most calls, and of those the greatest revision; the others are duplicates or outdated.
 * The ledger only grows, so the calls of a total grow with every change of it, and unlike the revision they do not restart where
 * metering was recreated and recounts its log. A total is therefore never lowered: usage that metering has lost stays on the
 * invoice, and reconciliation shows it. Of several in one batch only the last is compared, because a statement may change a row once. Rows are taken in the order of their key, so that two statements cannot deadlock.
 */
const KEEP_LATEST = `
insert into usage_sums as kept (tenant_id, hour_start, model_id, model, meter, price_list_id, currency, quantity, calls, revision)
select distinct on ("tenantId", "hourStart", "modelId", "model", "meter", "priceListId", "currency")
  "tenantId", "hourStart", "modelId", "model", "meter", "priceListId", "currency", "quantity", "calls", "revision"
from json_to_recordset($1::json) as told("tenantId" text, "hourStart" timestamptz, "modelId" text, "model" text, "meter" text, "priceListId" text,
  "currency" text, "quantity" numeric, "calls" bigint, "revision" bigint)
order by "tenantId", "hourStart", "modelId", "model", "meter", "priceListId", "currency", "calls" desc, "revision" desc
on conflict (tenant_id, hour_start, model_id, model, meter, price_list_id, currency) do update set
  quantity = excluded.quantity, calls = excluded.calls, revision = greatest(kept.revision, excluded.revision)
where kept.calls < excluded.calls or (kept.calls = excluded.calls and kept.revision < excluded.revision)`;

/** A period of calendar months that a tenant has usage in, or is subscribed in, in a currency. */
export interface BilledPeriod {
  /** First moment of the month, UTC. */
  readonly start: Date;
  readonly currency: string;
}

/** What was used in a period of one model by one meter at one price list. */
export interface PeriodSum {
  readonly model: string;
  readonly meter: UsageRolled['meter'];
  readonly priceListId: string;
  readonly quantity: string;
  readonly calls: number;
  /** Start of the latest hour in it. */
  readonly latestHour: Date;
}

/** $2: start of the running month; a tenant that is subscribed has an invoice for it before it used anything. */
const PERIODS = `
select start, currency from (
  select date_trunc('month', hour_start, 'UTC') as start, currency from usage_sums where tenant_id = $1
  union
  select $2::timestamptz, plans.currency from subscriptions join plans on plans.id = plan_id where tenant_id = $1 and ended_at is null
) as periods
where $3::timestamptz is null or start < $3 or (start = $3 and currency > $4::text)
order by start desc, currency limit $5`;

const PERIOD_SUMS = `
select model, meter, price_list_id, trim_scale(sum(quantity))::text as quantity, sum(calls)::text as calls, max(hour_start) as latest_hour
from usage_sums where tenant_id = $1 and currency = $2 and hour_start >= $3 and hour_start < $4
group by 1, 2, 3 order by 1, 2, 3`;

interface PeriodSumRow {
  readonly model: string;
  readonly meter: UsageRolled['meter'];
  readonly price_list_id: string;
  readonly quantity: string;
  readonly calls: string;
  readonly latest_hour: Date;
}

/** What was used, as metering tells it. */
@Injectable()
export class UsageSumsStore {
  readonly #database: Database;

  constructor(@Inject(Database) database: Database) {
    this.#database = database;
  }

  /** @returns how many totals changed */
  async keepLatest(tx: Connection, sums: readonly UsageRolled[]): Promise<number> {
    const { rowCount } = await tx.query(KEEP_LATEST, [JSON.stringify(sums)]);
    return rowCount ?? 0;
  }

  /** Up to `take` periods of a tenant behind `after`, newest first. */
  async periods(tenantId: string, currentStart: Date, after: BilledPeriod | null, take: number): Promise<BilledPeriod[]> {
    const { rows } = await this.#database.sqlTransaction(tenantId, (client) =>
      client.query<BilledPeriod>(PERIODS, [tenantId, currentStart, after?.start ?? null, after?.currency ?? null, take]),
    );
    return rows;
  }

  /** What a tenant used from `start` on and before `end`, priced in `currency`; by model, meter and price list. */
  async sums(tenantId: string, currency: string, start: Date, end: Date): Promise<PeriodSum[]> {
    const { rows } = await this.#database.sqlTransaction(tenantId, (client) =>
      client.query<PeriodSumRow>(PERIOD_SUMS, [tenantId, currency, start, end]),
    );
    return rows.map((row) => ({
      model: row.model,
      meter: row.meter,
      priceListId: row.price_list_id,
      quantity: row.quantity,
      calls: Number(row.calls),
      latestHour: row.latest_hour,
    }));
  }
}
