import type { PrismaPg } from '@prisma/adapter-pg';
import type { Database, TransactionOf } from '@weir/platform/database';
import { PrismaClient } from './generated/prisma/client.ts';

/** Auth's own schema. */
export type AuthDatabase = Database<PrismaClient>;
/** A transaction in it. */
export type AuthTransaction = TransactionOf<PrismaClient>;

export function createClient(adapter: PrismaPg): PrismaClient {
  return new PrismaClient({ adapter });
}
