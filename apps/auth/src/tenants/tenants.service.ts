import { Inject, Injectable } from '@nestjs/common';
import { authorise, PLATFORM_TENANT_ID, type Principal } from '@weir/access';
import { tenantChanged } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import { CLOCK, IDS } from '@weir/platform/service';
import type { AuthDatabase, AuthTransaction } from '../auth-database.ts';
import { Passwords } from '../people/passwords.ts';
import { NO_LIMITS } from '../limits.ts';
import { insertPerson } from '../people/people.store.ts';
import type { Person } from '../people/person.ts';
import { tenantState, type CreateTenant, type SetTenantLimits, type Tenant, type TenantStatus } from './tenant.ts';
import { findTenant, insertTenant, listTenants, setTenantLimits, setTenantStatus } from './tenants.store.ts';

/** Customers of the platform: the operator makes, suspends and lists them; everyone reads their own. */
@Injectable()
export class TenantsService {
  readonly #database: AuthDatabase;
  readonly #outbox: Outbox;
  readonly #passwords: Passwords;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(
    @Inject(Database) database: AuthDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(Passwords) passwords: Passwords,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#passwords = passwords;
    this.#clock = clock;
    this.#ids = ids;
  }

  /** The principal's own tenant. */
  async own(principal: Principal): Promise<Tenant> {
    authorise(principal, 'tenant.read');
    return this.#database.transaction(principal.tenantId, (tx) => findTenant(tx, principal.tenantId));
  }

  /** All tenants, for the operator. */
  async list(principal: Principal, page: PageRequest): Promise<Tenant[]> {
    authorise(principal, 'operator');
    return this.#database.transaction(ACROSS_TENANTS, (tx) => listTenants(tx, page));
  }

  /**
   * Makes a tenant with its first owner.
   *
   * @throws access.forbidden    the principal is no operator
   * @throws tenant.slug_taken
   */
  async create(principal: Principal, input: CreateTenant): Promise<{ readonly tenant: Tenant; readonly owner: Person }> {
    authorise(principal, 'operator');
    const passwordHash = await this.#passwords.hash(input.owner.password);
    const createdAt = new Date(this.#clock.now());
    const tenant: Tenant = {
      id: this.#ids.next(),
      slug: input.slug,
      displayName: input.displayName,
      status: 'active',
      limits: NO_LIMITS,
      createdAt,
    };
    const owner: Person = {
      id: this.#ids.next(),
      tenantId: tenant.id,
      email: input.owner.email,
      name: input.owner.name,
      role: 'owner',
      createdAt,
    };
    return this.#database.transaction(ACROSS_TENANTS, async (tx) => {
      await insertTenant(tx, tenant);
      await insertPerson(tx, owner, passwordHash, 'input.owner.email');
      await this.#announce(tx, tenant);
      return { tenant, owner };
    });
  }

  /**
   * Refuses everything that the tenant's people and keys ask for, until it is reactivated.
   *
   * @throws access.forbidden  the principal is no operator
   * @throws request.invalid   it is the operator's own tenant
   * @throws tenant.not_found
   */
  async suspend(principal: Principal, id: string): Promise<Tenant> {
    authorise(principal, 'operator');
    if (id === PLATFORM_TENANT_ID)
      throw new AppError('request.invalid', { field: 'input.id', message: "input.id: the operator's own tenant cannot be suspended." });
    return this.#setStatus(principal, id, 'suspended');
  }

  /** Undoes `suspend`; sessions and keys that have not expired meanwhile work again. Throws as `suspend`. */
  async reactivate(principal: Principal, id: string): Promise<Tenant> {
    return this.#setStatus(principal, id, 'active');
  }

  /**
   * Sets the limits of all calls of a tenant together; null is the platform's default. Throws as `suspend`, except that the
   * operator's own tenant may be limited.
   */
  async setLimits(principal: Principal, { id, ...limits }: SetTenantLimits): Promise<Tenant> {
    return this.#change(principal, (tx) => setTenantLimits(tx, id, limits));
  }

  async #setStatus(principal: Principal, id: string, status: TenantStatus): Promise<Tenant> {
    return this.#change(principal, (tx) => setTenantStatus(tx, id, status));
  }

  /** Changes a tenant and announces what it is then. */
  async #change(principal: Principal, change: (tx: AuthTransaction) => Promise<Tenant>): Promise<Tenant> {
    authorise(principal, 'operator');
    return this.#database.transaction(ACROSS_TENANTS, async (tx) => {
      const tenant = await change(tx);
      await this.#announce(tx, tenant);
      return tenant;
    });
  }

  async #announce(tx: AuthTransaction, tenant: Tenant): Promise<void> {
    await this.#outbox.publish(tx, tenantChanged, tenantState(tenant), { tenant: tenant.id });
  }
}
