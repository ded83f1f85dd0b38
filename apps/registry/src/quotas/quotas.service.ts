import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError, type Clock } from '@weir/kernel';
import { ACROSS_TENANTS, Database } from '@weir/platform/database';
import { CLOCK, SETTINGS } from '@weir/platform/service';
import { heldSizes } from '../artifacts/artifacts.store.ts';
import { reservedMemory } from '../placements/placements.store.ts';
import { PlacementTrigger } from '../placements/placement-trigger.ts';
import type { RegistryDatabase, RegistryTransaction } from '../registry-database.ts';
import type { RegistrySettings } from '../settings.ts';
import { TenantSlugs } from '../tenants/tenant-slugs.ts';
import { quotaExceeded, type Quotas, type QuotaUse, type SetModelQuotas } from './quota.ts';
import { allowedQuotas, lockQuotas, saveQuotas, usedArtifactBytes, usedVersions } from './quotas.store.ts';
import { UploadQuota } from './upload-quota.ts';

/** Quotas of tenants' models: read, set by operators, and enforced where files are uploaded and versions published. */
@Injectable()
export class QuotasService {
  readonly #database: RegistryDatabase;
  readonly #slugs: TenantSlugs;
  readonly #placements: PlacementTrigger;
  readonly #clock: Clock;
  readonly #defaults: Quotas;
  readonly #uploads: UploadQuota;

  constructor(
    @Inject(Database) database: RegistryDatabase,
    @Inject(TenantSlugs) slugs: TenantSlugs,
    @Inject(PlacementTrigger) placements: PlacementTrigger,
    @Inject(CLOCK) clock: Clock,
    @Inject(SETTINGS) settings: RegistrySettings,
  ) {
    this.#database = database;
    this.#slugs = slugs;
    this.#placements = placements;
    this.#clock = clock;
    this.#defaults = {
      artifactBytes: settings.tenantArtifactBytes,
      versions: settings.tenantVersions,
      memoryBytes: settings.tenantMemoryBytes,
    };
    this.#uploads = new UploadQuota((tenantId) =>
      database.transaction(tenantId, async (tx) => ({
        used: await usedArtifactBytes(tx, tenantId),
        allowed: (await allowedQuotas(tx, tenantId, this.#defaults)).artifactBytes,
      })),
    );
  }

  /**
   * Uses and quotas of a tenant: by default the principal's own; operators may name any.
   *
   * @throws access.forbidden without `models.read`; another tenant's without `operator`
   * @throws tenant.not_found there is no such tenant, naming `tenantId`
   */
  async read(principal: Principal, tenantId = principal.tenantId): Promise<QuotaUse> {
    authorise(principal, 'models.read');
    if (tenantId !== principal.tenantId) {
      authorise(principal, 'operator');
      this.#assertKnown(tenantId, 'tenantId');
    }
    return this.#database.transaction(tenantId, async (tx) => ({
      tenantId,
      used: {
        artifactBytes: await usedArtifactBytes(tx, tenantId),
        versions: await usedVersions(tx, tenantId),
        memoryBytes: await reservedMemory(tx, tenantId),
      },
      allowed: await allowedQuotas(tx, tenantId, this.#defaults),
    }));
  }

  /**
   * Sets quotas of a tenant: null restores the platform's default, what is not named stays. A quota below what is used takes
   * nothing away; it refuses what would be added.
   *
   * @throws access.forbidden without `operator`
   * @throws tenant.not_found naming `input.tenantId`
   */
  async set(principal: Principal, input: SetModelQuotas): Promise<QuotaUse> {
    authorise(principal, 'operator');
    this.#assertKnown(input.tenantId, 'input.tenantId');
    await this.#database.transaction(ACROSS_TENANTS, (tx) => saveQuotas(tx, input, new Date(this.#clock.now())));
    this.#placements.wake();
    return this.read(principal, input.tenantId);
  }

  /**
   * Does the upload of a content within the tenant's quota of bytes. Contents that it holds already are not counted again.
   *
   * @param upload is given what counts its bytes as they arrive
   * @throws quota.exceeded while the bytes arrive that would exceed it
   */
  async upload(tenantId: string, sha256: string, upload: (count: (bytes: number) => void) => Promise<number>): Promise<number> {
    const isHeld = await this.#database.transaction(tenantId, async (tx) => (await heldSizes(tx, tenantId, [sha256])).size > 0);
    return isHeld ? upload(() => undefined) : this.#uploads.run(tenantId, upload);
  }

  /**
   * Holds a new version against the quotas of its tenant, until the transaction ends.
   *
   * @param memoryBytes that would be reserved for it
   * @throws quota.exceeded
   */
  async assertMayAdd(tx: RegistryTransaction, tenantId: string, memoryBytes: number): Promise<void> {
    await lockQuotas(tx, tenantId);
    const allowed = await allowedQuotas(tx, tenantId, this.#defaults);
    const used = await usedVersions(tx, tenantId);
    if (used + 1 > allowed.versions) throw quotaExceeded('versions', { used, needed: 1, allowed: allowed.versions });
    // Memory is reserved at placement; a version that exceeds the quota alone would never be placed.
    if (memoryBytes > allowed.memoryBytes)
      throw quotaExceeded('memoryBytes', { used: 0, needed: memoryBytes, allowed: allowed.memoryBytes });
  }

  #assertKnown(tenantId: string, field: string): void {
    if (!this.#slugs.knows(tenantId)) throw new AppError('tenant.not_found', { field });
  }
}
