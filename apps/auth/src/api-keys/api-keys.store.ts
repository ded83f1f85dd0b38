import { isScope } from '@weir/access';
import { AppError } from '@weir/kernel';
import { cursorInstant, type PageRequest } from '@weir/platform/graphql';
import type { AuthTransaction } from '../auth-database.ts';
import type { ApiKeyRow } from '../generated/prisma/client.ts';
import type { ApiKey } from './api-key.ts';

function toApiKey({ requestsPerMinute, maxInFlight, scopes, ...row }: ApiKeyRow): ApiKey {
  return { ...row, scopes: scopes.filter(isScope), limits: { requestsPerMinute, maxInFlight } };
}

/** Keys deleted at once; a longer backlog goes with the next keys that are made. */
const MAX_DELETED = 1_000;

export async function insertApiKey(tx: AuthTransaction, key: ApiKey): Promise<void> {
  const { limits, scopes, ...columns } = key;
  await tx.apiKeyRow.create({ data: { ...columns, scopes: [...scopes], ...limits } });
}

/** Newest first; revoked ones too, so that what was done with them can be understood. */
export async function listApiKeys(tx: AuthTransaction, tenantId: string, page: PageRequest): Promise<ApiKey[]> {
  const after = page.after === null ? {} : behind(page.after);
  const rows = await tx.apiKeyRow.findMany({
    where: { tenantId, ...after },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    take: page.take,
  });
  return rows.map(toApiKey);
}

/** Sort key of a key in the list. */
export function placeOf(key: ApiKey): readonly string[] {
  return [key.createdAt.toISOString(), key.id];
}

/**
 * Marks a key revoked, and says whether it was usable before.
 *
 * @throws api_key.not_found  the tenant has no such key
 */
export async function markRevoked(
  tx: AuthTransaction,
  tenantId: string,
  id: string,
  now: Date,
): Promise<{ readonly key: ApiKey; readonly isChanged: boolean }> {
  const [row] = await tx.apiKeyRow.updateManyAndReturn({ where: { tenantId, id, revokedAt: null }, data: { revokedAt: now } });
  if (row !== undefined) return { key: toApiKey(row), isChanged: true };
  const known = await tx.apiKeyRow.findFirst({ where: { tenantId, id } });
  if (known === null) throw new AppError('api_key.not_found');
  return { key: toApiKey(known), isChanged: false };
}

/** Keys that are neither revoked nor expired. */
export async function countUsableApiKeys(tx: AuthTransaction, tenantId: string, now: Date): Promise<number> {
  return tx.apiKeyRow.count({ where: { tenantId, revokedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] } });
}

/** Deletes what ended (revoked or expired) but the newest `kept` of it, and returns what was deleted. */
export async function deleteEndedApiKeys(tx: AuthTransaction, tenantId: string, now: Date, kept: number): Promise<ApiKey[]> {
  const ended = await tx.apiKeyRow.findMany({
    where: { tenantId, OR: [{ revokedAt: { not: null } }, { expiresAt: { lte: now } }] },
    orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
    skip: kept,
    take: MAX_DELETED,
  });
  if (ended.length > 0) await tx.apiKeyRow.deleteMany({ where: { tenantId, id: { in: ended.map(({ id }) => id) } } });
  return ended.map(toApiKey);
}

function behind([createdAt, id = '']: readonly string[]): object {
  const moment = cursorInstant(createdAt);
  return { OR: [{ createdAt: { lt: moment } }, { createdAt: moment, id: { lt: id } }] };
}
