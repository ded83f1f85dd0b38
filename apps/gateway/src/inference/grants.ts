import { authorise } from '@weir/access';
import type { DeploymentState } from '@weir/contracts';
import { AppError, type Money } from '@weir/kernel';
import { compilePriceList, type CompiledPriceList } from '@weir/pricing';
import type { Catalogue } from './catalogue.ts';
import { DEFAULT_ALIAS, type InferenceCall } from './inference.ts';

/** What a call may run, and what it costs. */
export interface Grant {
  readonly deployment: DeploymentState;
  readonly prices: CompiledPriceList;
  /** What the smallest call of the model costs; how much a call uses is known only after it ran. */
  readonly estimate: Money;
}

const SMALLEST_CALL = [
  { meter: 'requests', quantity: '1' },
  { meter: 'inputs', quantity: '1' },
  { meter: 'input-tokens', quantity: '1' },
] as const;

/** Estimates by price list and model: the same for every call. */
const estimates = new WeakMap<CompiledPriceList, Map<string, Money>>();

/**
 * Step 2, authorise: the credential may infer, the tenant sees the model, its plan covers it and prices it.
 * Another tenant's private model and a model that does not exist are the same to the caller.
 *
 * @throws access.forbidden, model.not_found, subscription.required, price.missing
 */
export function grantFor(
  catalogue: Catalogue,
  call: Pick<InferenceCall, 'principal' | 'model' | 'alias' | 'version'>,
  nowMs: number,
): Grant {
  authorise(call.principal, 'infer');
  const { tenantId } = call.principal;
  const deployment = catalogue.deployment(call.model, call.alias ?? DEFAULT_ALIAS, tenantId);
  if (deployment === undefined || (call.version !== undefined && call.version !== deployment.version))
    throw new AppError('model.not_found');
  const entitlement = catalogue.entitlement(tenantId);
  if (entitlement === undefined || !covers(entitlement.models, deployment, tenantId)) throw new AppError('subscription.required');
  const list = catalogue.priceListFor(entitlement.planId, nowMs);
  if (list === null) throw new AppError('price.missing');
  const prices = compilePriceList(list);
  return { deployment, prices, estimate: estimateOf(prices, deployment.model) };
}

function estimateOf(prices: CompiledPriceList, model: string): Money {
  let ofList = estimates.get(prices);
  if (ofList === undefined) estimates.set(prices, (ofList = new Map()));
  let estimate = ofList.get(model);
  if (estimate === undefined) ofList.set(model, (estimate = prices.estimate(model, SMALLEST_CALL)));
  return estimate;
}

/** Does the tenant see the model, and does its plan cover it? */
export function mayUse(catalogue: Pick<Catalogue, 'entitlement'>, deployment: DeploymentState, tenantId: string): boolean {
  if (deployment.visibility === 'private' && deployment.ownerTenantId !== tenantId) return false;
  const entitlement = catalogue.entitlement(tenantId);
  return entitlement !== undefined && covers(entitlement.models, deployment, tenantId);
}

function covers(models: readonly string[], deployment: DeploymentState, tenantId: string): boolean {
  return deployment.ownerTenantId === tenantId || models.includes('*') || models.includes(deployment.model);
}
