import { Inject, Injectable } from '@nestjs/common';
import { rateSchema, type PriceList } from '@weir/contracts';
import { ACROSS_TENANTS, Database, type TenantScope } from '@weir/platform/database';
import { LRUCache } from 'lru-cache';
import type pg from 'pg';
import { z } from 'zod';
import type { PriceList as PriceListRow, PrismaClient } from '../generated/prisma/client.ts';
import type { Plan, PricedPlan } from './plan.ts';

/** The work of a transaction. */
type Connection = Pick<pg.PoolClient, 'query'>;

/** A new plan and its first price list, or nothing when the code is taken. */
const INSERT_PLAN = `
with plan as (
  insert into plans (id, code, display_name, currency, models, is_public, audience, created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8)
  on conflict (code) do nothing
  returning id, created_at
)
insert into price_lists (id, plan_id, effective_from, rates, created_at)
select $9, plan.id, plan.created_at, $10::jsonb, plan.created_at from plan`;

const INSERT_PRICE_LIST = `insert into price_lists (id, plan_id, effective_from, rates, created_at) values ($1, $2, $3, $4::jsonb, $5)`;

const ratesSchema = z.array(rateSchema);

/** How many price lists are kept in memory; they never change. */
const CACHED_PRICE_LISTS = 1_000;

/** The catalogue: plans and price lists. Row-level security shows a tenant's scope the plans that it may see, or subscribes to. */
@Injectable()
export class PlansStore {
  readonly #database: Database<PrismaClient>;
  readonly #priceLists = new LRUCache<string, PriceList>({ max: CACHED_PRICE_LISTS });

  constructor(@Inject(Database) database: Database<PrismaClient>) {
    this.#database = database;
  }

  /** Inserts a plan with its first price list, in effect from the plan's creation. @returns false when the code is taken */
  async insert(tx: Connection, plan: Plan, list: PriceList): Promise<boolean> {
    const { rowCount } = await tx.query(INSERT_PLAN, [
      plan.id,
      plan.code,
      plan.displayName,
      plan.currency,
      plan.models,
      plan.isPublic,
      plan.audience,
      plan.createdAt,
      list.id,
      JSON.stringify(list.rates),
    ]);
    return rowCount === 1;
  }

  async insertPriceList(tx: Connection, list: PriceList, createdAt: Date): Promise<void> {
    await tx.query(INSERT_PRICE_LIST, [list.id, list.planId, list.effectiveFrom, JSON.stringify(list.rates), createdAt]);
  }

  /** The plan, or null when there is none that is offered to the scope. */
  async findByCode(scope: TenantScope, code: string): Promise<Plan | null> {
    return this.#database.transaction(scope, (tx) => tx.plan.findUnique({ where: { code, ...offeredTo(scope) } }));
  }

  /** @param audience ids of tenants; null for every tenant. @returns the plan as it is now, or null when there is none */
  async setAudience(code: string, audience: readonly string[] | null): Promise<Plan | null> {
    const data = { isPublic: audience === null, audience: [...(audience ?? [])] };
    const [plan] = await this.#database.transaction(ACROSS_TENANTS, (tx) => tx.plan.updateManyAndReturn({ where: { code }, data }));
    return plan ?? null;
  }

  /** Up to `take` plans that are offered to the scope behind the code `after`, by code, each with the list that it is priced by at `at`. */
  async list(scope: TenantScope, after: string | null, take: number, at: Date): Promise<PricedPlan[]> {
    const plans = await this.#database.transaction(scope, (tx) =>
      tx.plan.findMany({
        where: { ...offeredTo(scope), ...(after === null ? {} : { code: { gt: after } }) },
        orderBy: { code: 'asc' },
        take,
        include: { priceLists: { where: { effectiveFrom: { lte: at } }, orderBy: [{ effectiveFrom: 'desc' }, { id: 'desc' }], take: 1 } },
      }),
    );
    return plans.map(({ priceLists: [row], ...plan }) => ({
      ...plan,
      priceList: row === undefined ? null : this.#remembered(row, plan.currency),
    }));
  }

  /** The list that a plan is priced by at a moment; null before its first. */
  async priceListAt(scope: TenantScope, plan: Plan, at: Date): Promise<PriceList | null> {
    const row = await this.#database.transaction(scope, (tx) =>
      tx.priceList.findFirst({
        where: { planId: plan.id, effectiveFrom: { lte: at } },
        orderBy: [{ effectiveFrom: 'desc' }, { id: 'desc' }],
      }),
    );
    return row === null ? null : this.#remembered(row, plan.currency);
  }

  /** Price lists by id; ids that are not known are missing from the answer. */
  async priceLists(scope: string, ids: Iterable<string>): Promise<ReadonlyMap<string, PriceList>> {
    const found = new Map<string, PriceList>();
    const wanted: string[] = [];
    for (const id of new Set(ids)) {
      const known = this.#priceLists.get(id);
      if (known === undefined) wanted.push(id);
      else found.set(id, known);
    }
    if (wanted.length === 0) return found;
    const rows = await this.#database.transaction(scope, (tx) =>
      tx.priceList.findMany({ where: { id: { in: wanted } }, include: { plan: { select: { currency: true } } } }),
    );
    for (const row of rows) found.set(row.id, this.#remembered(row, row.plan.currency));
    return found;
  }

  /** The same object for the same list, so that it is compiled once. */
  #remembered(row: PriceListRow, currency: string): PriceList {
    const known = this.#priceLists.get(row.id);
    if (known !== undefined) return known;
    const list: PriceList = {
      id: row.id,
      planId: row.planId,
      currency,
      effectiveFrom: row.effectiveFrom.toISOString(),
      rates: ratesSchema.parse(row.rates),
    };
    this.#priceLists.set(row.id, list);
    return list;
  }
}

/** Plans that a tenant may subscribe to. Narrower than what it sees: what it subscribed to before may not be offered to it any more. */
function offeredTo(scope: TenantScope) {
  return scope === ACROSS_TENANTS ? {} : { OR: [{ isPublic: true }, { audience: { has: scope } }] };
}
