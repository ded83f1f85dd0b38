import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import { usageMismatched, usageMismatchKey, type PeriodTotal, type PeriodTotalled } from '@weir/contracts';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import type pg from 'pg';
import { differencesOf, type UsageDifference, type UsageReconciliation } from './reconciliation.ts';

const MAX_PERIODS = 100;

const BILLED = `
select meter, price_list_id as "priceListId", currency, trim_scale(sum(quantity))::text as quantity, sum(calls)::text as calls
from usage_sums where tenant_id = $1 and hour_start >= $2 and hour_start < $3
group by 1, 2, 3`;

const LOCK = `select stated_at, differences from usage_reconciliations where tenant_id = $1 and period_start = $2 for update`;

const KEEP = `
insert into usage_reconciliations as kept (tenant_id, period_start, through, stated_at, differences, unequal_since)
values ($1, $2, $3, $4, $5::jsonb, case when $5::jsonb <> '[]' then $4::timestamptz end)
on conflict (tenant_id, period_start) do update set through = excluded.through, stated_at = excluded.stated_at,
  differences = excluded.differences,
  unequal_since = case when excluded.unequal_since is not null then coalesce(kept.unequal_since, excluded.unequal_since) end`;

const FIND = `
select tenant_id as "tenantId", period_start as "periodStart", through, stated_at as "statedAt", differences, unequal_since as "unequalSince"
from usage_reconciliations where case when $1::text is null then unequal_since is not null else tenant_id = $1 end
order by period_start desc, tenant_id limit ${MAX_PERIODS}`;

const ALARM = `
select count(unequal_since)::int as unequal, extract(epoch from min(unequal_since))::float as "unequalSinceSeconds",
  extract(epoch from max(stated_at))::float as "statedAtSeconds"
from usage_reconciliations`;

/** State of all periods for the metrics. Times in seconds since 1970; null where there are none. */
export interface ReconciliationAlarm {
  readonly unequal: number;
  readonly unequalSinceSeconds: number | null;
  readonly statedAtSeconds: number | null;
}

/** Compares the sums of periods with metering's totals of them, and keeps whether they agree. */
@Injectable()
export class ReconciliationStore {
  readonly #database: Database;
  readonly #outbox: Outbox;

  constructor(@Inject(Database) database: Database, @Inject(Outbox) outbox: Outbox) {
    this.#database = database;
    this.#outbox = outbox;
  }

  /**
   * Compares a period as metering counted it with the sums of the same hours, which precede it in the topic. A new
   * difference is announced, and withdrawn when all agrees. Totals that are older than the last compared are skipped.
   *
   * @returns the differences; null for totals that are older
   */
  async compare(tx: pg.PoolClient, period: PeriodTotalled, statedAt: Date): Promise<readonly UsageDifference[] | null> {
    const { tenantId, periodStart, through, totals } = period;
    const { rows: known } = await tx.query<{ stated_at: Date; differences: UsageDifference[] }>(LOCK, [tenantId, periodStart]);
    const [before] = known;
    if (before !== undefined && before.stated_at > statedAt) return null;
    const { rows } = await tx.query<Omit<PeriodTotal, 'calls'> & { readonly calls: string }>(BILLED, [tenantId, periodStart, through]);
    const differences = differencesOf(
      totals,
      rows.map((row) => ({ ...row, calls: Number(row.calls) })),
    );
    await tx.query(KEEP, [tenantId, periodStart, through, statedAt, JSON.stringify(differences)]);
    if (isDeepStrictEqual(differences, before?.differences ?? [])) return differences;
    const about = { tenantId, periodStart, through };
    if (differences.length > 0) await this.#outbox.publish(tx, usageMismatched, about, { tenant: tenantId });
    else await this.#outbox.remove(tx, usageMismatched, usageMismatchKey(about), { tenant: tenantId });
    return differences;
  }

  /** The periods of a tenant, newest first; without one those of all tenants that do not agree. At most 100. */
  async find(tenantId: string | null): Promise<UsageReconciliation[]> {
    return this.#database.sqlTransaction(tenantId ?? ACROSS_TENANTS, async (tx) => {
      const { rows } = await tx.query<UsageReconciliation>(FIND, [tenantId]);
      return rows;
    });
  }

  async alarm(): Promise<ReconciliationAlarm> {
    return this.#database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      const { rows } = await tx.query<ReconciliationAlarm>(ALARM);
      return rows[0] ?? { unequal: 0, unequalSinceSeconds: null, statedAtSeconds: null };
    });
  }
}
