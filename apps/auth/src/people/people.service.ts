import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { sessionRevoked, tenantChanged } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { ACROSS_TENANTS, Database, Outbox } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import { CLOCK, IDS, SETTINGS } from '@weir/platform/service';
import type { AuthDatabase, AuthTransaction } from '../auth-database.ts';
import type { AuthSettings } from '../settings.ts';
import { listLiveSessions } from '../sessions/sessions.store.ts';
import { checkRoom, PLATFORM_TENANT, tenantState, type Tenant } from '../tenants/tenant.ts';
import { NO_LIMITS } from '../limits.ts';
import { insertTenant, lockTenant, lockTenantForAdding } from '../tenants/tenants.store.ts';
import { Passwords } from './passwords.ts';
import { countPeople, deletePerson, findPerson, insertPerson, listAdministrators, listPeople } from './people.store.ts';
import { isAdministrator, roleFor, type AddPerson, type NewPerson, type Person } from './person.ts';

/** The people of a tenant. */
@Injectable()
export class PeopleService {
  readonly #database: AuthDatabase;
  readonly #outbox: Outbox;
  readonly #passwords: Passwords;
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #settings: AuthSettings;

  constructor(
    @Inject(Database) database: AuthDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(Passwords) passwords: Passwords,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
    @Inject(SETTINGS) settings: AuthSettings,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#passwords = passwords;
    this.#clock = clock;
    this.#ids = ids;
    this.#settings = settings;
  }

  /** The person who asks; null for a key or a service. */
  async me(principal: Principal): Promise<Person | null> {
    if (principal.kind !== 'person') return null;
    return this.#database.transaction(principal.tenantId, (tx) => findPerson(tx, principal.tenantId, principal.id));
  }

  async list(principal: Principal, page: PageRequest): Promise<Person[]> {
    authorise(principal, 'people.read');
    return this.#database.transaction(principal.tenantId, (tx) => listPeople(tx, principal.tenantId, page));
  }

  /**
   * Adds a person to the principal's tenant. Without a role they become a member (in the operator's tenant: an operator).
   *
   * @throws request.invalid     the tenant has no such role
   * @throws person.email_taken    the tenant has a person with this address; whether another tenant has, makes no difference
   * @throws tenant.limit_reached  the tenant has as many people as it may have
   */
  async add(principal: Principal, input: AddPerson): Promise<Person> {
    authorise(principal, 'people.manage');
    const person: Person = {
      id: this.#ids.next(),
      tenantId: principal.tenantId,
      email: input.email,
      name: input.name,
      role: roleFor(principal.tenantId, input.role),
      createdAt: new Date(this.#clock.now()),
    };
    const passwordHash = await this.#passwords.hash(input.password);
    return this.#database.transaction(principal.tenantId, async (tx) => {
      await lockTenantForAdding(tx, person.tenantId);
      checkRoom('people', await countPeople(tx, person.tenantId), this.#settings.maxPeople);
      await insertPerson(tx, person, passwordHash, 'input.email');
      return person;
    });
  }

  /**
   * Removes a person of the principal's tenant and ends their sessions. API keys stay: they are the tenant's.
   *
   * @throws person.not_found
   * @throws person.last_administrator  nobody else could administer the tenant
   */
  async remove(principal: Principal, id: string): Promise<void> {
    authorise(principal, 'people.manage');
    const { tenantId } = principal;
    await this.#database.transaction(tenantId, async (tx) => {
      // Two owners who remove each other at the same moment would leave nobody. A sign-in under way is waited for as well:
      // the session that it opens has to be ended too.
      await lockTenant(tx, tenantId);
      const person = await findPerson(tx, tenantId, id);
      if (person === null) throw new AppError('person.not_found');
      if (isAdministrator(person) && (await listAdministrators(tx, tenantId)).length === 1) throw new AppError('person.last_administrator');
      await this.#endSessions(tx, person);
      await deletePerson(tx, tenantId, id);
    });
  }

  /**
   * Makes the first operator, and the operator's tenant. Only the launcher or the command line of the platform may, and
   * only while there is no operator; asked again with the same address it changes nothing.
   *
   * @param caller the service that asks
   * @throws access.forbidden  somebody else asks, or there is another operator
   */
  async bootstrapOperator(
    principal: Principal,
    caller: string | undefined,
    input: NewPerson,
  ): Promise<{ readonly person: Person; readonly isNew: boolean }> {
    if (principal.kind !== 'service' || caller !== 'weir')
      throw new AppError('access.forbidden', { message: 'Only the command line of the platform may do this.' });
    return this.#database.transaction(ACROSS_TENANTS, async (tx) => {
      await tx.$queryRaw`select pg_advisory_xact_lock(hashtextextended('weir.bootstrap-operator', 0)) is null as locked`;
      const operators = await listAdministrators(tx, PLATFORM_TENANT.id);
      const known = operators.find((operator) => operator.email === input.email);
      if (known !== undefined) return { person: known, isNew: false };
      if (operators.length > 0)
        throw new AppError('access.forbidden', { message: 'There is an operator already; operators are added by operators.' });
      const createdAt = new Date(this.#clock.now());
      const tenant: Tenant = { ...PLATFORM_TENANT, status: 'active', limits: NO_LIMITS, createdAt };
      const person: Person = {
        id: this.#ids.next(),
        tenantId: tenant.id,
        email: input.email,
        name: input.name,
        role: 'operator',
        createdAt,
      };
      await insertTenant(tx, tenant);
      await insertPerson(tx, person, await this.#passwords.hash(input.password), 'input.email');
      await this.#outbox.publish(tx, tenantChanged, tenantState(tenant), { tenant: tenant.id });
      return { person, isNew: true };
    });
  }

  /** Their rows go with the person; what the gateway has to refuse until it expires is announced. */
  async #endSessions(tx: AuthTransaction, person: Person): Promise<void> {
    for (const session of await listLiveSessions(tx, person, new Date(this.#clock.now()))) {
      await this.#outbox.publish(
        tx,
        sessionRevoked,
        { id: session.id, expiresAt: session.expiresAt.toISOString() },
        { tenant: person.tenantId },
      );
    }
  }
}
