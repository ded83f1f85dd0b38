import type { DeploymentState, Entitlement, PriceList, TenantState, WorkerState } from '@weir/contracts';
import type { ReadyWorker } from '../projections/worker-directory.ts';

/** What the pipeline reads from the gateway's projections; none waits, and those of the pipeline are by key. */
export interface Catalogue {
  /** The deployment that a tenant means by a name: a public model, or its own. */
  deployment(model: string, alias: string, tenantId: string): DeploymentState | undefined;
  tenant(id: string): Pick<TenantState, 'limits'> | undefined;
  entitlement(tenantId: string): Entitlement | undefined;
  /** The price list of a plan at a moment. */
  priceListFor(planId: string, atMs: number): PriceList | null;
  /** Live workers that have the version loaded. */
  readyWorkersFor(versionId: string): readonly ReadyWorker[];
  /** Every deployment, of every tenant: for whoever filters by what a caller may see. */
  deployments(): Iterable<DeploymentState>;
  /** Live workers. */
  workers(): readonly WorkerState[];
}

export const CATALOGUE = Symbol('gateway.catalogue');
