import { Inject, Injectable } from '@nestjs/common';
import { Database } from '@weir/platform/database';
import type pg from 'pg';
import type { PrismaClient } from '../generated/prisma/client.ts';
import type { Subscription } from './subscription.ts';

type Connection = Pick<pg.PoolClient, 'query'>;

const INSERT = `
insert into subscriptions (id, tenant_id, plan_id, started_at) values ($1, $2, $3, $4)
on conflict (tenant_id) where ended_at is null do nothing`;

const END = `update subscriptions set ended_at = $2 where tenant_id = $1 and ended_at is null returning id`;

/** Who subscribes to what. */
@Injectable()
export class SubscriptionsStore {
  readonly #database: Database<PrismaClient>;

  constructor(@Inject(Database) database: Database<PrismaClient>) {
    this.#database = database;
  }

  /** The tenant's active subscription. */
  async active(tenantId: string): Promise<Subscription | null> {
    return this.#database.transaction(tenantId, (tx) =>
      tx.subscription.findFirst({ where: { tenantId, endedAt: null }, include: { plan: true } }),
    );
  }

  async find(tenantId: string, id: string): Promise<Subscription | null> {
    return this.#database.transaction(tenantId, (tx) => tx.subscription.findFirst({ where: { tenantId, id }, include: { plan: true } }));
  }

  /** @returns false when the tenant has an active subscription */
  async insert(tx: Connection, subscription: Subscription): Promise<boolean> {
    const { rowCount } = await tx.query(INSERT, [subscription.id, subscription.tenantId, subscription.plan.id, subscription.startedAt]);
    return rowCount === 1;
  }

  /** Ends the active subscription. @returns its id, or null when there is none */
  async end(tx: Connection, tenantId: string, endedAt: Date): Promise<string | null> {
    const { rows } = await tx.query<{ id: string }>(END, [tenantId, endedAt]);
    return rows[0]?.id ?? null;
  }
}
