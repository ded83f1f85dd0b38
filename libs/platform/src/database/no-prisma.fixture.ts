import type { PrismaClientLike } from './database.ts';

/** For a `Database` whose Prisma side is not used: generated clients belong to the services, and their specs prove that side. */
export function noPrisma(): PrismaClientLike {
  const refuse = (): never => {
    throw new Error('this database has no Prisma client');
  };
  return { $transaction: refuse, $queryRawUnsafe: refuse, $disconnect: async () => {} };
}
