import type { Role } from '@weir/access';
import { AppError } from '@weir/kernel';
import { isUniqueViolation } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import type { AuthTransaction } from '../auth-database.ts';
import type { Person } from './person.ts';

/** Everything but the password's hash. */
const COLUMNS = { id: true, tenantId: true, email: true, name: true, role: true, createdAt: true } as const;

type Row = Omit<Person, 'role'> & { readonly role: string };

function toPerson(row: Row): Person {
  return { id: row.id, tenantId: row.tenantId, email: row.email, name: row.name, role: row.role as Role, createdAt: row.createdAt };
}

export async function findPerson(tx: AuthTransaction, tenantId: string, id: string): Promise<Person | null> {
  const row = await tx.personRow.findFirst({ where: { tenantId, id }, select: COLUMNS });
  return row === null ? null : toPerson(row);
}

/** People in the order of their ids, which is that of their creation. */
export async function listPeople(tx: AuthTransaction, tenantId: string, page: PageRequest): Promise<Person[]> {
  const rows = await tx.personRow.findMany({
    where: { tenantId, id: { gt: page.after?.[0] ?? '' } },
    orderBy: { id: 'asc' },
    take: page.take,
    select: COLUMNS,
  });
  return rows.map(toPerson);
}

/** Those who can administer the tenant. */
export async function listAdministrators(tx: AuthTransaction, tenantId: string): Promise<Person[]> {
  const rows = await tx.personRow.findMany({ where: { tenantId, role: { not: 'member' } }, select: COLUMNS });
  return rows.map(toPerson);
}

/**
 * @param field path of the e-mail address in the input, for the error
 * @throws person.email_taken
 */
export async function insertPerson(tx: AuthTransaction, person: Person, passwordHash: string, field: string): Promise<void> {
  try {
    await tx.personRow.create({ data: { ...person, passwordHash } });
  } catch (error) {
    throw isUniqueViolation(error) ? new AppError('person.email_taken', { field }) : error;
  }
}

/** Removes the person and what hangs on them: their sessions. */
export async function deletePerson(tx: AuthTransaction, tenantId: string, id: string): Promise<void> {
  await tx.personRow.deleteMany({ where: { tenantId, id } });
}

export async function countPeople(tx: AuthTransaction, tenantId: string): Promise<number> {
  return tx.personRow.count({ where: { tenantId } });
}

/** A person and the digest of their password. */
export interface SignInCandidate {
  readonly person: Person;
  readonly passwordHash: string;
}

/**
 * Up to `take` people with this e-mail address, oldest first. Searches across tenants: each may have one.
 *
 * @param slug of the tenant to search in; all when left out
 */
export async function findForSignIn(
  tx: AuthTransaction,
  email: string,
  slug: string | undefined,
  take: number,
): Promise<SignInCandidate[]> {
  const rows = await tx.personRow.findMany({
    where: { email, ...(slug === undefined ? {} : { tenant: { slug } }) },
    orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    take,
  });
  return rows.map((row) => ({ person: toPerson(row), passwordHash: row.passwordHash }));
}
