import { Inject, Injectable } from '@nestjs/common';
import { authorise, isOperator, PLATFORM_TENANT_ID, type Principal } from '@weir/access';
import type { RemoteBackEnd, Task } from '@weir/contracts';
import { AppError, type Clock, type Ids } from '@weir/kernel';
import { Database, isUniqueViolation, Outbox } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import { CLOCK, IDS, SETTINGS } from '@weir/platform/service';
import { announceDeployments, saveAlias } from '../aliases/aliases.store.ts';
import { ArtifactStore } from '../artifacts/artifact-store.ts';
import { heldSizes } from '../artifacts/artifacts.store.ts';
import type { Model, ModelView } from '../models/model.ts';
import { findModel, lockModelName, saveModel } from '../models/models.store.ts';
import { reservedBytes } from '../placements/reserved-memory.ts';
import { PlacementTrigger } from '../placements/placement-trigger.ts';
import { QuotasService } from '../quotas/quotas.service.ts';
import type { RegistryDatabase, RegistryTransaction } from '../registry-database.ts';
import type { RegistrySettings } from '../settings.ts';
import { TenantSlugs } from '../tenants/tenant-slugs.ts';
import type { ModelVersion, NewModelVersion, PublishModelVersion } from './model-version.ts';
import { NetworkReader } from './network-reader.ts';
import { readPackageMetadata, type PackageMetadata } from './package-metadata.ts';
import { assertServerDoes, assertServerElsewhere, remoteDigest, type PublishRemoteModelVersion } from './remote-version.ts';
import { assertFilesForTask, assertPackagePaths, packageDigest } from './version-package.ts';
import { findServer, findVersion, insertVersion, listVersions } from './versions.store.ts';

/** A version that was published, and its model as it is now. */
export interface PublishedVersion {
  readonly model: ModelView;
  readonly version: ModelVersion;
}

type Publication = Omit<PublishModelVersion, 'files'>;

/** What a version is made of, whether workers run its files or another server runs it. */
interface VersionContents extends Pick<
  NewModelVersion,
  'digest' | 'files' | 'labels' | 'metrics' | 'examples' | 'networks' | 'runs' | 'accelerator' | 'memoryBytes'
> {
  /** What its package says of it; empty where there is none. */
  readonly weir: PackageMetadata['weir'];
}

/** Versions of models: published once, never changed. */
@Injectable()
export class VersionsService {
  readonly #database: RegistryDatabase;
  readonly #outbox: Outbox;
  readonly #artifacts: ArtifactStore;
  readonly #networks: NetworkReader;
  readonly #slugs: TenantSlugs;
  readonly #placements: PlacementTrigger;
  readonly #quotas: QuotasService;
  readonly #settings: RegistrySettings;
  readonly #clock: Clock;
  readonly #ids: Ids;

  constructor(
    @Inject(Database) database: RegistryDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(ArtifactStore) artifacts: ArtifactStore,
    @Inject(NetworkReader) networks: NetworkReader,
    @Inject(TenantSlugs) slugs: TenantSlugs,
    @Inject(PlacementTrigger) placements: PlacementTrigger,
    @Inject(QuotasService) quotas: QuotasService,
    @Inject(SETTINGS) settings: RegistrySettings,
    @Inject(CLOCK) clock: Clock,
    @Inject(IDS) ids: Ids,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#artifacts = artifacts;
    this.#networks = networks;
    this.#slugs = slugs;
    this.#placements = placements;
    this.#quotas = quotas;
    this.#settings = settings;
    this.#clock = clock;
    this.#ids = ids;
  }

  /** Versions of a model that the principal may see, newest first. */
  async list(principal: Principal, modelId: string, page: PageRequest): Promise<ModelVersion[]> {
    authorise(principal, 'models.read');
    return this.#database.transaction(principal.tenantId, (tx) => listVersions(tx, modelId, page));
  }

  /**
   * Publishes a version of the principal's own model, and the model with it when it is the first. Operators publish for
   * everyone under plain names; other tenants publish for themselves under `<their short name>/<name>`. Publishing the
   * same files again under the same version changes nothing.
   *
   * @throws access.forbidden     the name or the visibility is not the principal's to choose
   * @throws request.invalid      with the field: a path, a size, a file that the task needs, a file of the package that is not valid
   * @throws model.package_invalid with the field: a network that cannot be read, or must not be loaded
   * @throws artifact.not_found   with the field: the file was not uploaded by the principal's tenant
   * @throws model.version_exists the version exists with other files
   * @throws model.name_taken     another tenant has the name
   * @throws quota.exceeded       the tenant has as many versions as it may, or the version asks for more memory than the tenant may have
   */
  async publish(principal: Principal, input: PublishModelVersion): Promise<PublishedVersion> {
    authorise(principal, 'models.manage');
    this.#assertMayPublish(principal, input);
    assertPackagePaths(input.files);
    await this.#database.transaction(principal.tenantId, (tx) => assertUploaded(tx, principal.tenantId, input));
    const metadata = await readPackageMetadata(input.files, (sha256, maxBytes) => this.#artifacts.readSmall(sha256, maxBytes));
    const { weir } = metadata;
    const task = taskOf(input, weir);
    assertFilesForTask(task, input.files, weir);
    return this.#publish(principal, input, {
      ...metadata,
      digest: packageDigest(input.files),
      files: input.files,
      networks: await this.#networks.read(task, input.files, weir),
      runs: { kind: 'onnxruntime' },
      accelerator: weir.runtime?.accelerator ?? null,
      memoryBytes: weir.runtime?.memoryBytes ?? null,
    });
  }

  /**
   * Publishes a version that another server runs. Workers will call its address from inside the platform's network, so
   * this is for operators alone. Publishing the same again under the same version changes nothing.
   *
   * @throws access.forbidden     the principal is no operator, or the name is not theirs to choose
   * @throws request.invalid      with the field: a server of this kind cannot do the task, or its address is a local one
   * @throws model.version_exists the version exists otherwise
   * @throws model.name_taken     another tenant has the name
   */
  async publishRemote(principal: Principal, input: PublishRemoteModelVersion): Promise<PublishedVersion> {
    authorise(principal, 'operator');
    this.#assertMayPublish(principal, input);
    assertServerDoes(input.task, input.backend);
    if (!this.#settings.allowLocalBackEnds) assertServerElsewhere(input.backend);
    return this.#publish(principal, input, {
      digest: remoteDigest(input),
      files: [],
      networks: [],
      labels: input.labels ?? [],
      metrics: [],
      examples: [],
      runs: input.backend,
      accelerator: null,
      memoryBytes: null,
      weir: {},
    });
  }

  /** The server that runs a version, for operators; null for everybody else, and where workers run it themselves. */
  async server(principal: Principal, version: ModelVersion): Promise<RemoteBackEnd | null> {
    if (!isOperator(principal) || version.backend === 'onnxruntime') return null;
    return this.#database.transaction(principal.tenantId, (tx) => findServer(tx, version.id));
  }

  async #publish(principal: Principal, input: Publication, contents: VersionContents): Promise<PublishedVersion> {
    const published = await this.#database
      .transaction(principal.tenantId, (tx) => this.#write(tx, principal, input, contents))
      .catch((error: unknown) => {
        throw isUniqueViolation(error) ? new AppError('model.name_taken', { field: 'input.name' }) : error;
      });
    this.#placements.wake();
    return published;
  }

  #assertMayPublish(principal: Principal, { name, visibility }: Publication): void {
    const isForEveryone = isOperator(principal) && principal.tenantId === PLATFORM_TENANT_ID;
    if (isForEveryone) {
      if (!name.includes('/')) return;
      throw new AppError('access.forbidden', {
        field: 'input.name',
        message: 'input.name: operators publish under plain names, without a slash.',
      });
    }
    if (visibility === 'public')
      throw new AppError('access.forbidden', {
        field: 'input.visibility',
        message: 'input.visibility: only operators publish models for every tenant.',
      });
    const prefix = `${this.#slugs.slugOf(principal.tenantId)}/`;
    if (!name.startsWith(prefix))
      throw new AppError('access.forbidden', { field: 'input.name', message: `input.name: must begin with ${prefix}` });
  }

  async #write(
    tx: RegistryTransaction,
    principal: Principal,
    input: Publication,
    { weir, ...contents }: VersionContents,
  ): Promise<PublishedVersion> {
    await lockModelName(tx, input.name);
    const known = await findModel(tx, input.name);
    if (known !== null && known.tenantId !== principal.tenantId) throw new AppError('model.name_taken', { field: 'input.name' });
    const existing = known === null ? null : await findVersion(tx, known.id, input.version);
    if (known !== null && existing !== null) {
      if (existing.digest !== contents.digest) throw new AppError('model.version_exists', { field: 'input.version' });
      return { model: known, version: existing };
    }
    const model = this.#describe(principal, input, weir, known);
    const version: NewModelVersion = {
      ...contents,
      id: this.#ids.next(),
      modelId: model.id,
      tenantId: model.tenantId,
      version: input.version,
      sizeBytes: contents.files.reduce((sum, file) => sum + file.sizeBytes, 0),
      task: model.task,
      licence: model.licence,
      publishedBy: principal.id,
      publishedAt: model.updatedAt,
    };
    await this.#quotas.assertMayAdd(
      tx,
      model.tenantId,
      reservedBytes({
        declaredBytes: version.memoryBytes,
        fileBytes: version.sizeBytes,
        measuredBytes: null,
        accelerator: version.accelerator,
      }),
    );
    await saveModel(tx, model);
    await insertVersion(tx, version);
    if (input.alias !== null && input.alias !== undefined) await saveAlias(tx, model, input.alias, version.id, model.updatedAt);
    // All of them: what they say of the model (its visibility) may have changed with it.
    await announceDeployments(tx, this.#outbox, model);
    const view = await findModel(tx, model.name);
    if (view === null) throw new AppError('internal.error');
    return { model: view, version: { ...version, backend: version.runs.kind } };
  }

  /** The model as the version says it: what the caller wrote, else what the package says. */
  #describe(principal: Principal, input: Publication, weir: PackageMetadata['weir'], known: Model | null): Model {
    const task = taskOf(input, weir);
    if (known !== null && known.task !== task)
      throw new AppError('request.invalid', {
        field: 'input.task',
        message: `input.task: the model is for ${known.task}; publish another model for another task.`,
      });
    const now = new Date(this.#clock.now());
    return {
      id: known?.id ?? this.#ids.next(),
      tenantId: principal.tenantId,
      name: input.name,
      task,
      visibility: input.visibility,
      displayName: input.displayName ?? weir.displayName ?? known?.displayName ?? input.name.slice(-100),
      description: input.description ?? weir.description ?? known?.description ?? '',
      licence: input.licence ?? weir.licence ?? known?.licence ?? null,
      tags: input.tags ?? weir.tags ?? known?.tags ?? [],
      createdAt: known?.createdAt ?? now,
      updatedAt: now,
    };
  }
}

/** What the model does: as the caller says, else as the package says. @throws request.invalid when neither says it */
function taskOf(input: Pick<Publication, 'task'>, weir: PackageMetadata['weir']): Task {
  const task = input.task ?? weir.task;
  if (task !== undefined) return task;
  throw new AppError('request.invalid', {
    field: 'input.task',
    message: 'input.task: is needed when the package has no weir.json that names one.',
  });
}

async function assertUploaded(tx: RegistryTransaction, tenantId: string, { files }: PublishModelVersion): Promise<void> {
  const sizes = await heldSizes(tx, tenantId, [...new Set(files.map((file) => file.sha256))]);
  for (const [index, file] of files.entries()) {
    const sizeBytes = sizes.get(file.sha256);
    if (sizeBytes === undefined)
      throw new AppError('artifact.not_found', {
        field: `input.files[${index}].sha256`,
        message: `input.files[${index}].sha256: the file was not uploaded.`,
      });
    if (sizeBytes !== file.sizeBytes)
      throw new AppError('request.invalid', {
        field: `input.files[${index}].sizeBytes`,
        message: `input.files[${index}].sizeBytes: the file has ${sizeBytes} bytes.`,
      });
  }
}
