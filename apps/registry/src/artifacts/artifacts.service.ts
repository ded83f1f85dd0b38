import type { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError, type Clock } from '@weir/kernel';
import { Database } from '@weir/platform/database';
import { CLOCK } from '@weir/platform/service';
import type { RegistryDatabase } from '../registry-database.ts';
import { QuotasService } from '../quotas/quotas.service.ts';
import { ArtifactStore } from './artifact-store.ts';
import { insertHolder } from './artifacts.store.ts';

/** The launcher uploads the starter models in its own name. */
const UPLOADING_SERVICE = 'weir';
const READING_SERVICE = 'worker';

/** Files of models: whoever may publish puts them in, workers read them. */
@Injectable()
export class ArtifactsService {
  readonly #store: ArtifactStore;
  readonly #database: RegistryDatabase;
  readonly #quotas: QuotasService;
  readonly #clock: Clock;

  constructor(
    @Inject(ArtifactStore) store: ArtifactStore,
    @Inject(Database) database: RegistryDatabase,
    @Inject(QuotasService) quotas: QuotasService,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.#store = store;
    this.#database = database;
    this.#quotas = quotas;
    this.#clock = clock;
  }

  /**
   * Keeps a content for the principal's tenant. Putting it again changes nothing.
   *
   * @param caller the service that passes it on
   * @returns its size in bytes
   * @throws access.forbidden         the principal may not manage models
   * @throws artifact.digest_mismatch the content has another digest
   * @throws request.too_large
   * @throws quota.exceeded           while the bytes arrive that exceed the tenant's quota of bytes
   */
  async put(principal: Principal, caller: string | undefined, sha256: string, content: Readable): Promise<number> {
    if (!(principal.kind === 'service' && caller === UPLOADING_SERVICE)) authorise(principal, 'models.manage');
    const { tenantId } = principal;
    return this.#quotas.upload(tenantId, sha256, async (count) => {
      const sizeBytes = await this.#store.put(sha256, content, count);
      await this.#database.transaction(tenantId, (tx) => insertHolder(tx, tenantId, sha256, sizeBytes, new Date(this.#clock.now())));
      return sizeBytes;
    });
  }

  /**
   * A content for a worker.
   *
   * @throws access.forbidden   somebody else asks
   * @throws artifact.not_found
   */
  async read(caller: string | undefined, sha256: string): Promise<{ readonly content: Readable; readonly sizeBytes: number }> {
    if (caller !== READING_SERVICE) throw new AppError('access.forbidden', { message: 'Files of models are read by workers.' });
    return this.#store.read(sha256);
  }
}
