import type { KeyLimits } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { isUniqueViolation } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import type { AuthTransaction } from '../auth-database.ts';
import type { TenantRow } from '../generated/prisma/client.ts';
import type { Tenant, TenantStatus } from './tenant.ts';

function toTenant({ requestsPerMinute, maxInFlight, status, ...row }: TenantRow): Tenant {
  return { ...row, status: status === 'suspended' ? 'suspended' : 'active', limits: { requestsPerMinute, maxInFlight } };
}

/** @throws tenant.not_found */
export async function findTenant(tx: AuthTransaction, id: string): Promise<Tenant> {
  const row = await tx.tenantRow.findUnique({ where: { id } });
  if (row === null) throw new AppError('tenant.not_found');
  return toTenant(row);
}

/** Tenants in the order of their ids, which is that of their creation. */
export async function listTenants(tx: AuthTransaction, page: PageRequest): Promise<Tenant[]> {
  const rows = await tx.tenantRow.findMany({ where: { id: { gt: page.after?.[0] ?? '' } }, orderBy: { id: 'asc' }, take: page.take });
  return rows.map(toTenant);
}

/** @throws tenant.slug_taken */
export async function insertTenant(tx: AuthTransaction, tenant: Tenant): Promise<void> {
  try {
    const { limits, ...columns } = tenant;
    await tx.tenantRow.create({ data: { ...columns, ...limits } });
  } catch (error) {
    throw isUniqueViolation(error) ? new AppError('tenant.slug_taken', { field: 'input.slug' }) : error;
  }
}

/** @throws tenant.not_found */
export async function setTenantStatus(tx: AuthTransaction, id: string, status: TenantStatus): Promise<Tenant> {
  const [row] = await tx.tenantRow.updateManyAndReturn({ where: { id }, data: { status } });
  if (row === undefined) throw new AppError('tenant.not_found');
  return toTenant(row);
}

/** @throws tenant.not_found */
export async function setTenantLimits(tx: AuthTransaction, id: string, limits: KeyLimits): Promise<Tenant> {
  const [row] = await tx.tenantRow.updateManyAndReturn({ where: { id }, data: { ...limits } });
  if (row === undefined) throw new AppError('tenant.not_found');
  return toTenant(row);
}

/**
 * Locks the tenant's row until the transaction ends: what is counted against a bound of the tenant is added one at a time, and
 * not while a person is removed. Sign-ins do not wait.
 *
 * @throws tenant.not_found
 */
export async function lockTenantForAdding(tx: AuthTransaction, id: string): Promise<void> {
  const rows = await tx.$queryRaw<unknown[]>`select id from tenants where id = ${id} for no key update`;
  if (rows.length === 0) throw new AppError('tenant.not_found');
}

/** Locks the tenant's row until the transaction ends: those who add and remove its people, and sign in, go one by one. */
export async function lockTenant(tx: AuthTransaction, id: string): Promise<void> {
  await tx.$queryRaw`select id from tenants where id = ${id} for update`;
}

/** Keeps the tenant's people from being removed until the transaction ends; those who sign in do not wait for each other. */
export async function holdTenant(tx: AuthTransaction, id: string): Promise<void> {
  await tx.$queryRaw`select id from tenants where id = ${id} for key share`;
}
