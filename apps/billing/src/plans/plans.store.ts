import { Inject, Injectable } from '@nestjs/common';
import { rateSchema, type PriceList } from '@weir/contracts';
import { Database } from '@weir/platform/database';
import { LRUCache } from 'lru-cache';
import type pg from 'pg';
import { z } from 'zod';
import type { PriceList as PriceListRow, PrismaClient } from '../generated/prisma/client.ts';
import type { Plan, PricedPlan } from './plan.ts';

/** The work of a transaction; the catalogue is the same for every tenant, so any scope will do. */
type Connection = Pick<pg.PoolClient, 'query'>;

/** A new plan and its first price list, or nothing when the code is taken. */
const INSERT_PLAN = `
with plan as (
  insert into plans (id, code, display_name, currency, models, created_at) values ($1, $2, $3, $4, $5, $6)
  on conflict (code) do nothing
  returning id, created_at
)
insert into price_lists (id, plan_id, effective_from, rates, created_at)
select $7, plan.id, plan.created_at, $8::jsonb, plan.created_at from plan`;

const INSERT_PRICE_LIST = `insert into price_lists (id, plan_id, effective_from, rates, created_at) values ($1, $2, $3, $4::jsonb, $5)`;

const ratesSchema = z.array(rateSchema);

/** How many price lists are kept in memory; they never change. */
const CACHED_PRICE_LISTS = 1_000;

/** The catalogue: plans and price lists. */
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
      plan.createdAt,
      list.id,
      JSON.stringify(list.rates),
    ]);
    return rowCount === 1;
  }

  async insertPriceList(tx: Connection, list: PriceList, createdAt: Date): Promise<void> {
    await tx.query(INSERT_PRICE_LIST, [list.id, list.planId, list.effectiveFrom, JSON.stringify(list.rates), createdAt]);
  }

  async findByCode(scope: string, code: string): Promise<Plan | null> {
    return this.#database.transaction(scope, (tx) => tx.plan.findUnique({ where: { code } }));
  }

  /** Up to `take` plans behind the code `after`, by code, each with the list that it is priced by at `at`. */
  async list(scope: string, after: string | null, take: number, at: Date): Promise<PricedPlan[]> {
    const plans = await this.#database.transaction(scope, (tx) =>
      tx.plan.findMany({
        where: after === null ? {} : { code: { gt: after } },
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
  async priceListAt(scope: string, plan: Plan, at: Date): Promise<PriceList | null> {
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
