import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { entitlementChanged } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox, type TenantScope } from '@weir/platform/database';
import { CLOCK, IDS } from '@weir/platform/service';
import { PlansStore } from '../plans/plans.store.ts';
import { TenantDirectory } from '../tenants/tenant-directory.ts';
import { entitlementOf, type EndSubscription, type Subscribe, type SubscribeTenant, type Subscription } from './subscription.ts';
import { SubscriptionsStore } from './subscriptions.store.ts';

/** Who subscribes to what; every change is told to the gateway as an entitlement. */
@Injectable()
export class SubscriptionsService {
  readonly #subscriptions: SubscriptionsStore;
  readonly #plans: PlansStore;
  readonly #tenants: TenantDirectory;
  readonly #database: Database;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(
    @Inject(SubscriptionsStore) subscriptions: SubscriptionsStore,
    @Inject(PlansStore) plans: PlansStore,
    @Inject(TenantDirectory) tenants: TenantDirectory,
    @Inject(Database) database: Database,
    @Inject(Outbox) outbox: Outbox,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
  ) {
    this.#subscriptions = subscriptions;
    this.#plans = plans;
    this.#tenants = tenants;
    this.#database = database;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#ids = ids;
  }

  /** The active subscription of the principal's tenant; null when it has none. @throws access.forbidden without `invoices.read` */
  async current(principal: Principal): Promise<Subscription | null> {
    authorise(principal, 'invoices.read');
    return this.#subscriptions.active(principal.tenantId);
  }

  /**
   * Subscribes the principal's own tenant to a plan that it may see. A plan for other tenants is not there for it.
   *
   * @throws access.forbidden    without `subscriptions.manage`
   * @throws plan.not_found      naming `input.planCode`
   * @throws subscription.exists the tenant has an active one
   */
  async subscribe(principal: Principal, input: Subscribe): Promise<Subscription> {
    authorise(principal, 'subscriptions.manage');
    return this.#start(principal.tenantId, input.planCode, principal.tenantId);
  }

  /**
   * Subscribes any tenant to any plan, whichever tenants the plan is for. A tenant that was made a moment ago is waited for.
   *
   * @throws access.forbidden    without `operator`
   * @throws tenant.not_found    naming `input.tenantId`
   * @throws plan.not_found      naming `input.planCode`
   * @throws subscription.exists the tenant has an active one
   */
  async subscribeTenant(principal: Principal, input: SubscribeTenant): Promise<Subscription> {
    authorise(principal, 'operator');
    if (!(await this.#tenants.knows(input.tenantId))) throw new AppError('tenant.not_found', { field: 'input.tenantId' });
    return this.#start(input.tenantId, input.planCode, ACROSS_TENANTS);
  }

  /**
   * Ends a tenant's subscription now: from then on its calls are refused with subscription.required. What was used stays to be paid.
   *
   * @throws access.forbidden       without `operator`
   * @throws subscription.not_found the tenant has no active one, naming `input.tenantId`
   */
  async end(principal: Principal, input: EndSubscription): Promise<Subscription> {
    authorise(principal, 'operator');
    const { tenantId } = input;
    const id = await this.#database.sqlTransaction(tenantId, async (tx) => {
      const ended = await this.#subscriptions.end(tx, tenantId, new Date(this.#clock.now()));
      if (ended === null) throw new AppError('subscription.not_found', { field: 'input.tenantId' });
      await this.#outbox.remove(tx, entitlementChanged, tenantId, { tenant: tenantId });
      return ended;
    });
    const subscription = await this.#subscriptions.find(tenantId, id);
    if (subscription === null) throw new AppError('internal.error', { cause: new Error('a subscription that was ended is gone') });
    return subscription;
  }

  /** @param catalogue the plans to choose from: those that this scope sees */
  async #start(tenantId: string, planCode: string, catalogue: TenantScope): Promise<Subscription> {
    const plan = await this.#plans.findByCode(catalogue, planCode);
    if (plan === null) throw new AppError('plan.not_found', { field: 'input.planCode' });
    const subscription: Subscription = { id: this.#ids.next(), tenantId, plan, startedAt: new Date(this.#clock.now()), endedAt: null };
    await this.#database.sqlTransaction(tenantId, async (tx) => {
      if (!(await this.#subscriptions.insert(tx, subscription))) throw new AppError('subscription.exists');
      await this.#outbox.publish(tx, entitlementChanged, entitlementOf(subscription), { tenant: tenantId });
    });
    return subscription;
  }
}
