import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  apiKeyChanged,
  deploymentChanged,
  entitlementChanged,
  priceListPublished,
  sessionRevoked,
  signingKeyChanged,
  tenantChanged,
  workerChanged,
  type ApiKeyState,
  type DeploymentState,
  type Entitlement,
  type PriceList,
  type SigningKeyState,
  type TenantState,
  type WorkerState,
} from '@weir/contracts';
import type { Clock } from '@weir/kernel';
import { projectionOf, type EventBus, type Projection, type ProjectionChange } from '@weir/platform/bus';
import { CLOCK, EVENT_BUS, LOGGER, Readiness } from '@weir/platform/service';
import type { Logger } from '@weir/platform/telemetry';
import { LRUCache } from 'lru-cache';
import { DeploymentIndex } from './deployment-index.ts';
import { PriceBook } from './price-book.ts';
import { RecordWaits } from './record-waits.ts';
import { WorkerDirectory, type ReadyWorker } from './worker-directory.ts';

const EVENTS = {
  tenants: tenantChanged,
  apiKeys: apiKeyChanged,
  sessions: sessionRevoked,
  signingKeys: signingKeyChanged,
  deployments: deploymentChanged,
  entitlements: entitlementChanged,
  prices: priceListPublished,
  workers: workerChanged,
};

/** How often silent workers are looked for. */
const EXPIRY_SWEEP_MS = 1_000;
const MAX_REMOVED_API_KEYS = 10_000;

/**
 * What the gateway knows of the platform, in memory: the last value of every key of the compacted topics it follows.
 * Every look-up is by key and answers at once; when the bus is away, what was known stays.
 */
@Injectable()
export class Projections implements OnModuleInit, OnApplicationShutdown {
  readonly #bus: EventBus;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #readiness: Readiness;
  readonly #deployments = new DeploymentIndex();
  readonly #prices = new PriceBook();
  readonly #workers = new WorkerDirectory();
  readonly #apiKeyWaits = new RecordWaits<ApiKeyState>();
  /** Digests of keys whose tombstone arrived here last: they have no record, and will get none. */
  readonly #removedApiKeys = new LRUCache<string, true>({ max: MAX_REMOVED_API_KEYS });
  #projection: Projection<typeof EVENTS> | undefined;
  #sweep: NodeJS.Timeout | undefined;

  constructor(
    @Inject(EVENT_BUS) bus: EventBus,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(Readiness) readiness: Readiness,
  ) {
    this.#bus = bus;
    this.#logger = logger;
    this.#clock = clock;
    this.#readiness = readiness;
  }

  async onModuleInit(): Promise<void> {
    // Ready once: with the bus away later, the gateway goes on with what it knows.
    this.#readiness.add('projections', () => this.hasCaughtUp());
    this.#projection = await projectionOf({
      bus: this.#bus,
      logger: this.#logger,
      events: EVENTS,
      onChange: (change) => this.#apply(change),
    });
    void this.#projection.caughtUp.then(() => this.expireWorkers());
    this.#sweep = setInterval(() => this.expireWorkers(), EXPIRY_SWEEP_MS);
    this.#sweep.unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#sweep);
    await this.#projection?.close();
  }

  /** Resolves when everything that the topics held at the start is known. */
  get caughtUp(): Promise<void> {
    return this.#started.caughtUp;
  }

  /** Is everything known that the topics held at the start? Before that, what is not known may yet exist. */
  hasCaughtUp(): boolean {
    return this.#projection?.isCaughtUp() ?? false;
  }

  /** Are changes arriving now? */
  isLive(): boolean {
    return this.#projection?.isLive() ?? false;
  }

  apiKeyByDigest(digest: string): ApiKeyState | undefined {
    return this.#projection?.maps.apiKeys.get(digest);
  }

  /** A key's record once it is known; undefined when it is not within `timeoutMs`, and at once when the key was revoked. */
  async whenApiKey(digest: string, timeoutMs: number): Promise<ApiKeyState | undefined> {
    const known = this.apiKeyByDigest(digest);
    return known !== undefined || this.#removedApiKeys.has(digest) ? known : this.#apiKeyWaits.next(digest, timeoutMs);
  }

  tenant(id: string): TenantState | undefined {
    return this.#projection?.maps.tenants.get(id);
  }

  isSessionRevoked(sessionId: string): boolean {
    return this.#projection?.maps.sessions.has(sessionId) ?? false;
  }

  /** The public key that signed a session token, by its `kid`. */
  signingKey(kid: string): SigningKeyState['jwk'] | undefined {
    return this.#projection?.maps.signingKeys.get(kid)?.jwk;
  }

  /** What a tenant means by a model's name: its own model, or a public one. */
  deployment(model: string, alias: string, tenantId: string): DeploymentState | undefined {
    return this.#deployments.find(model, alias, tenantId);
  }

  /** Every deployment, of every tenant: for whoever filters by what a caller may see. */
  deployments(): IterableIterator<DeploymentState> {
    return this.#deployments.all();
  }

  entitlement(tenantId: string): Entitlement | undefined {
    return this.#projection?.maps.entitlements.get(tenantId);
  }

  /** The price list of a plan that is in force at a moment. */
  priceListFor(planId: string, atMs: number): PriceList | null {
    return this.#prices.inForce(planId, atMs);
  }

  priceList(id: string): PriceList | undefined {
    return this.#prices.find(id);
  }

  /** Workers that are heard. */
  workers(): readonly WorkerState[] {
    return this.#workers.live();
  }

  /** Live workers that have the version ready and take new work. */
  readyWorkersFor(versionId: string): readonly ReadyWorker[] {
    return this.#workers.readyFor(versionId);
  }

  /** Forgets workers that fell silent; called each second. */
  expireWorkers(): void {
    this.#workers.expire(this.#clock.now(), this.isLive());
  }

  get #started(): Projection<typeof EVENTS> {
    if (this.#projection === undefined) throw new Error('the projections were asked before the module was initialised');
    return this.#projection;
  }

  #apply(change: ProjectionChange<typeof EVENTS>): void {
    switch (change.name) {
      case 'deployments':
        this.#deployments.apply(change.key, change.value);
        break;
      case 'prices':
        this.#prices.apply(change.key, change.value);
        break;
      case 'workers':
        this.#workers.apply(change.key, change.value, this.#clock.now(), this.#projection?.isCaughtUp() !== true);
        break;
      case 'apiKeys':
        if (change.value === undefined) this.#removedApiKeys.set(change.key, true);
        else this.#apiKeyWaits.arrived(change.key, change.value);
        break;
      case 'tenants':
      case 'sessions':
      case 'signingKeys':
      case 'entitlements':
        // Looked up in the projection's own maps.
        break;
    }
  }
}
