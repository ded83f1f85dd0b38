import type { AuthTransaction } from '../auth-database.ts';
import type { SessionRecord } from './session.ts';

type OfPerson = Pick<SessionRecord, 'tenantId'> & { readonly id: string };

export async function insertSession(tx: AuthTransaction, session: SessionRecord): Promise<void> {
  await tx.sessionRow.create({ data: session });
}

export async function findSession(tx: AuthTransaction, tenantId: string, id: string): Promise<SessionRecord | null> {
  return tx.sessionRow.findFirst({ where: { tenantId, id } });
}

/** Marks a session revoked; false when it was before, or is not there. */
export async function markRevoked(tx: AuthTransaction, tenantId: string, id: string, now: Date): Promise<boolean> {
  const { count } = await tx.sessionRow.updateMany({ where: { tenantId, id, revokedAt: null }, data: { revokedAt: now } });
  return count > 0;
}

/** A person's sessions whose tokens would still be accepted. */
export async function listLiveSessions(tx: AuthTransaction, person: OfPerson, now: Date): Promise<SessionRecord[]> {
  return tx.sessionRow.findMany({ where: { tenantId: person.tenantId, personId: person.id, revokedAt: null, expiresAt: { gt: now } } });
}

/** Forgets a person's sessions that have expired, and returns them. */
export async function takeExpired(tx: AuthTransaction, person: OfPerson, now: Date): Promise<SessionRecord[]> {
  const where = { tenantId: person.tenantId, personId: person.id, expiresAt: { lte: now } };
  const expired = await tx.sessionRow.findMany({ where });
  if (expired.length > 0) await tx.sessionRow.deleteMany({ where });
  return expired;
}
