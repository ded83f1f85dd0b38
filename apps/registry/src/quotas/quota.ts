import { AppError } from '@weir/kernel';
import { z } from 'zod';

/** Upper bounds on the resources of a tenant's models. */
export interface Quotas {
  /** Bytes of the files that it holds in the store. */
  readonly artifactBytes: number;
  /** Published versions of all its models. */
  readonly versions: number;
  /** Bytes of workers' memory that are reserved for its placed versions, each counted once however many workers have it. */
  readonly memoryBytes: number;
}

/** The platform's own tenant is exempt. */
export const NO_QUOTAS: Quotas = { artifactBytes: Infinity, versions: Infinity, memoryBytes: Infinity };

/** Use and upper bound of each quota of a tenant. */
export interface QuotaUse {
  readonly tenantId: string;
  readonly used: Quotas;
  readonly allowed: Quotas;
}

const QUOTA_NAMES: Readonly<Record<keyof Quotas, string>> = {
  artifactBytes: 'bytes of files',
  versions: 'versions',
  memoryBytes: 'bytes of memory',
};

/** The refusal of what would exceed a quota: names it, what is used of it, what is allowed and what was asked for. */
export function quotaExceeded(quota: keyof Quotas, { used, needed, allowed }: { used: number; needed: number; allowed: number }): AppError {
  return new AppError('quota.exceeded', {
    message: `The tenant may have ${allowed} ${QUOTA_NAMES[quota]} (quota ${quota}): ${used} are used, and ${needed} more are needed.`,
  });
}

const bytes = z
  .number()
  .int()
  .min(0)
  .max(2 ** 50);
/** Null sets the platform's default again. */
export const setModelQuotasSchema = z.object({
  tenantId: z.string().regex(/^[\w-]{1,64}$/, 'must be the id of a tenant'),
  artifactBytes: bytes.nullish(),
  versions: z.number().int().min(0).max(1_000_000).nullish(),
  memoryBytes: bytes.nullish(),
});
export type SetModelQuotas = z.infer<typeof setModelQuotasSchema>;
