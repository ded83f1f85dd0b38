import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { priceListPublished, type PriceList } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { Database, Outbox } from '@weir/platform/database';
import { pageOf, pageRequest, type Connection, type PageArgs } from '@weir/platform/graphql';
import { CLOCK, IDS } from '@weir/platform/service';
import { unpricedModels, type CreatePlan, type Plan, type PricedPlan, type PublishPriceList } from './plan.ts';
import { PlansStore } from './plans.store.ts';

/** The operator's catalogue. */
@Injectable()
export class PlansService {
  readonly #plans: PlansStore;
  readonly #database: Database;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(
    @Inject(PlansStore) plans: PlansStore,
    @Inject(Database) database: Database,
    @Inject(Outbox) outbox: Outbox,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
  ) {
    this.#plans = plans;
    this.#database = database;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#ids = ids;
  }

  /**
   * One page of the plans that a tenant may subscribe to, by code, with what they cost now.
   *
   * @throws request.invalid naming the field: the page size, the cursor
   */
  async list(principal: Principal, args: PageArgs): Promise<Connection<PricedPlan>> {
    const request = pageRequest(args);
    const after = request.after?.[0] ?? null;
    return pageOf(
      await this.#plans.list(principal.tenantId, after, request.take, new Date(this.#clock.now())),
      request,
      (plan) => plan.code,
    );
  }

  /**
   * Makes a plan with its first price list, in effect at once.
   *
   * @throws access.forbidden without `operator`
   * @throws plan.code_taken  naming `input.code`
   */
  async create(principal: Principal, input: CreatePlan): Promise<PricedPlan> {
    authorise(principal, 'operator');
    const createdAt = new Date(this.#clock.now());
    const { rates, ...described } = input;
    const plan: Plan = { id: this.#ids.next(), ...described, createdAt };
    const priceList: PriceList = {
      id: this.#ids.next(),
      planId: plan.id,
      currency: plan.currency,
      effectiveFrom: createdAt.toISOString(),
      rates,
    };
    await this.#database.sqlTransaction(principal.tenantId, async (tx) => {
      if (!(await this.#plans.insert(tx, plan, priceList))) throw new AppError('plan.code_taken', { field: 'input.code' });
      await this.#outbox.publish(tx, priceListPublished, priceList, { tenant: null });
    });
    return { ...plan, priceList };
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
    const plan = await this.#plans.findByCode(principal.tenantId, input.planCode);
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
    await this.#database.sqlTransaction(principal.tenantId, async (tx) => {
      await this.#plans.insertPriceList(tx, list, now);
      await this.#outbox.publish(tx, priceListPublished, list, { tenant: null });
    });
    return list;
  }

  /** What a plan costs now. */
  async priced(principal: Principal, plan: Plan): Promise<PricedPlan> {
    return { ...plan, priceList: await this.#plans.priceListAt(principal.tenantId, plan, new Date(this.#clock.now())) };
  }
}
