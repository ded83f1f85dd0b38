import type { PrismaPg } from '@prisma/adapter-pg';
import type { Database, TransactionOf } from '@weir/platform/database';
import { PrismaClient } from './generated/prisma/client.ts';

/** The registry's own schema. */
export type RegistryDatabase = Database<PrismaClient>;
/** A transaction in it. */
export type RegistryTransaction = TransactionOf<PrismaClient>;

export function createClient(adapter: PrismaPg): PrismaClient {
  return new PrismaClient({ adapter });
}
