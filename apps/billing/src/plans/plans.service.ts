import { Inject, Injectable } from '@nestjs/common';
import { authorise, isOperator, type Principal } from '@weir/access';
import { priceListPublished, type PriceList } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import { pageOf, pageRequest, type Connection, type PageArgs } from '@weir/platform/graphql';
import { CLOCK, IDS } from '@weir/platform/service';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import { unpricedModels, type CreatePlan, type Plan, type PricedPlan, type PublishPriceList, type SetPlanAudience } from './plan.ts';
import { PlansStore } from './plans.store.ts';

/** The operator's catalogue. A tenant sees the public plans and those that are for it; the operator sees all. */
@Injectable()
export class PlansService {
  readonly #plans: PlansStore;
  readonly #tenants: TenantDirectory;
  readonly #database: Database;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(
    @Inject(PlansStore) plans: PlansStore,
    @Inject(TenantDirectory) tenants: TenantDirectory,
    @Inject(Database) database: Database,
    @Inject(Outbox) outbox: Outbox,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
  ) {
    this.#plans = plans;
    this.#tenants = tenants;
    this.#database = database;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#ids = ids;
  }

  /**
   * One page of the plans that the principal's tenant may subscribe to, by code, with what they cost now; all plans for an operator.
   *
   * @throws access.forbidden without `models.read`
   * @throws request.invalid naming the field: the page size, the cursor
   */
  async list(principal: Principal, args: PageArgs): Promise<Connection<PricedPlan>> {
    authorise(principal, 'models.read');
    const request = pageRequest(args);
    const after = request.after?.[0] ?? null;
    return pageOf(
      await this.#plans.list(isOperator(principal) ? ACROSS_TENANTS : principal.tenantId, after, request.take, new Date(this.#clock.now())),
      request,
      (plan) => plan.code,
    );
  }

  /**
   * Makes a plan with its first price list, in effect at once.
   *
   * @throws access.forbidden without `operator`
   * @throws plan.code_taken  naming `input.code`
   * @throws tenant.not_found naming the tenant in `input.audience`
   */
  async create(principal: Principal, input: CreatePlan): Promise<PricedPlan> {
    authorise(principal, 'operator');
    const createdAt = new Date(this.#clock.now());
    const { rates, audience, ...described } = input;
    await this.#assertTenantsExist(audience ?? []);
    const plan: Plan = { id: this.#ids.next(), ...described, isPublic: audience == null, audience: audience ?? [], createdAt };
    const priceList: PriceList = {
      id: this.#ids.next(),
      planId: plan.id,
      currency: plan.currency,
      effectiveFrom: createdAt.toISOString(),
      rates,
    };
    await this.#database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      if (!(await this.#plans.insert(tx, plan, priceList))) throw new AppError('plan.code_taken', { field: 'input.code' });
      await this.#outbox.publish(tx, priceListPublished, priceList, { tenant: null });
    });
    return { ...plan, priceList };
  }

  /**
   * Sets which tenants may see a plan and subscribe to it. Subscriptions that exist go on, also those of other tenants.
   *
   * @throws access.forbidden without `operator`
   * @throws plan.not_found   naming `input.planCode`
   * @throws tenant.not_found naming the tenant in `input.audience`
   */
  async setAudience(principal: Principal, { planCode, audience }: SetPlanAudience): Promise<PricedPlan> {
    authorise(principal, 'operator');
    await this.#assertTenantsExist(audience ?? []);
    const plan = await this.#plans.setAudience(planCode, audience ?? null);
    if (plan === null) throw new AppError('plan.not_found', { field: 'input.planCode' });
    return this.priced(principal, plan);
  }

  /**
   * Prices a plan anew from `effectiveFrom` (by default now) on. What was used before stays priced by the lists before:
   * every call names its list. Earlier lists are never changed.
   *
   * @throws access.forbidden without `operator`
   * @throws plan.not_found   naming `input.planCode`
   * @throws request.invalid  it would take effect in the past, or does not price a model that the plan names
   */
  async publishPriceList(principal: Principal, input: PublishPriceList): Promise<PriceList> {
    authorise(principal, 'operator');
    const now = new Date(this.#clock.now());
    const effectiveFrom = input.effectiveFrom ?? now;
    if (effectiveFrom < now)
      throw new AppError('request.invalid', { field: 'input.effectiveFrom', message: 'input.effectiveFrom: must not be in the past.' });
    const plan = await this.#plans.findByCode(ACROSS_TENANTS, input.planCode);
    if (plan === null) throw new AppError('plan.not_found', { field: 'input.planCode' });
    const [unpriced] = unpricedModels(plan.models, input.rates);
    if (unpriced !== undefined)
      throw new AppError('request.invalid', { field: 'input.rates', message: `input.rates: must hold a rate for ${unpriced}.` });
    const list: PriceList = {
      id: this.#ids.next(),
      planId: plan.id,
      currency: plan.currency,
      effectiveFrom: effectiveFrom.toISOString(),
      rates: input.rates,
    };
    await this.#database.sqlTransaction(ACROSS_TENANTS, async (tx) => {
      await this.#plans.insertPriceList(tx, list, now);
      await this.#outbox.publish(tx, priceListPublished, list, { tenant: null });
    });
    return list;
  }

  async #assertTenantsExist(audience: readonly string[]): Promise<void> {
    const known = await Promise.all(audience.map((id) => this.#tenants.knows(id)));
    const missing = known.indexOf(false);
    if (missing !== -1) throw new AppError('tenant.not_found', { field: `input.audience[${missing}]` });
  }

  /** What a plan costs now. */
  async priced(principal: Principal, plan: Plan): Promise<PricedPlan> {
    return {
      ...plan,
      priceList: await this.#plans.priceListAt(
        isOperator(principal) ? ACROSS_TENANTS : principal.tenantId,
        plan,
        new Date(this.#clock.now()),
      ),
    };
  }
}
