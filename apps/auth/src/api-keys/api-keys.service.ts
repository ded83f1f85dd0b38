import { Inject, Injectable } from '@nestjs/common';
import { authorise, issueApiKey, type Principal } from '@weir/access';
import { apiKeyChanged, type ApiKeyState } from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { Database, Outbox } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import { CLOCK, SETTINGS } from '@weir/platform/service';
import type { AuthDatabase, AuthTransaction } from '../auth-database.ts';
import type { AuthSettings } from '../settings.ts';
import { checkRoom } from '../tenants/tenant.ts';
import { lockTenantForAdding } from '../tenants/tenants.store.ts';
import { checkExpiry, type ApiKey, type CreateApiKey } from './api-key.ts';
import { countUsableApiKeys, deleteEndedApiKeys, insertApiKey, listApiKeys, markRevoked } from './api-keys.store.ts';

/** What the gateway needs to know of a key. */
export function apiKeyState(key: ApiKey): ApiKeyState {
  return {
    id: key.id,
    tenantId: key.tenantId,
    digest: key.digest,
    name: key.name,
    scopes: [...key.scopes],
    limits: key.limits,
    expiresAt: key.expiresAt?.toISOString() ?? null,
  };
}

/** The API keys of a tenant. */
@Injectable()
export class ApiKeysService {
  readonly #database: AuthDatabase;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #settings: AuthSettings;

  constructor(
    @Inject(Database) database: AuthDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(CLOCK) clock: Clock,
    @Inject(SETTINGS) settings: AuthSettings,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#settings = settings;
  }

  /**
   * Makes a key for the principal's tenant. The secret is in the answer and nowhere else.
   *
   * @throws request.invalid       it would be expired from the start
   * @throws tenant.limit_reached  the tenant has as many usable keys as it may have
   */
  async create(principal: Principal, input: CreateApiKey): Promise<{ readonly key: ApiKey; readonly secret: string }> {
    authorise(principal, 'api-keys.manage');
    const createdAt = new Date(this.#clock.now());
    checkExpiry(input.expiresAt, createdAt);
    const { id, secret, digest } = issueApiKey();
    const key: ApiKey = { id, digest, tenantId: principal.tenantId, ...input, createdBy: principal.id, createdAt, revokedAt: null };
    return this.#database.transaction(principal.tenantId, async (tx) => {
      await lockTenantForAdding(tx, key.tenantId);
      checkRoom('API keys', await countUsableApiKeys(tx, key.tenantId, createdAt), this.#settings.maxApiKeys);
      await this.#forgetEnded(tx, key.tenantId, createdAt);
      await insertApiKey(tx, key);
      await this.#outbox.publish(tx, apiKeyChanged, apiKeyState(key), { tenant: key.tenantId });
      return { key, secret };
    });
  }

  /** The keys of the principal's tenant, newest first, revoked ones too. */
  async list(principal: Principal, page: PageRequest): Promise<ApiKey[]> {
    authorise(principal, 'api-keys.read');
    return this.#database.transaction(principal.tenantId, (tx) => listApiKeys(tx, principal.tenantId, page));
  }

  /**
   * Ends a key for ever. The gateway refuses it as soon as the event arrives. Again: changes nothing.
   *
   * @throws api_key.not_found  the principal's tenant has no such key
   */
  async revoke(principal: Principal, id: string): Promise<ApiKey> {
    authorise(principal, 'api-keys.manage');
    return this.#database.transaction(principal.tenantId, async (tx) => {
      const { key, isChanged } = await markRevoked(tx, principal.tenantId, id, new Date(this.#clock.now()));
      if (isChanged) await this.#outbox.remove(tx, apiKeyChanged, key.digest, { tenant: key.tenantId });
      return key;
    });
  }

  /** Bounds what making and ending keys in turn leaves behind, in the list and at the gateway. */
  async #forgetEnded(tx: AuthTransaction, tenantId: string, now: Date): Promise<void> {
    for (const key of await deleteEndedApiKeys(tx, tenantId, now, this.#settings.maxApiKeys)) {
      // A revoked key has its tombstone; an expired one is still on the topic.
      if (key.revokedAt === null) await this.#outbox.remove(tx, apiKeyChanged, key.digest, { tenant: tenantId });
    }
  }
}
