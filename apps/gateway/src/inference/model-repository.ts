import { Inject, Injectable } from '@nestjs/common';
import { authorise, isOperator, type Principal } from '@weir/access';
import type { DeploymentState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import { mayUse } from './grants.ts';
import { DEFAULT_ALIAS } from './inference.ts';
import { WorkerClient } from './worker-client.ts';

/** Loading a model may take as long as reading its files and warming it up. */
const CONTROL_TIMEOUT_MS = 130_000;

/** A model in the index of the repository, in the terms of Triton's extension. */
export interface IndexedModel {
  readonly name: string;
  readonly version: string;
  /** `READY`: calls are taken. */
  readonly state: 'READY' | 'LOADING' | 'UNAVAILABLE';
  /** Why it is unavailable. */
  readonly reason: string;
}

/** The models that are hosted, as the repository extension of the Open Inference Protocol shows and steers them. */
@Injectable()
export class ModelRepository {
  constructor(
    @Inject(CATALOGUE) private readonly catalogue: Catalogue,
    @Inject(WorkerClient) private readonly workers: WorkerClient,
  ) {}

  /**
   * The versions in production of the models that the caller may use; for an operator, of all.
   *
   * @param onlyReady leaves out those that take no calls now
   * @throws access.forbidden
   */
  index(principal: Principal, onlyReady: boolean): IndexedModel[] {
    authorise(principal, 'models.read');
    return this.production()
      .filter((deployment) => isOperator(principal) || mayUse(this.catalogue, deployment, principal.tenantId))
      .map((deployment) => this.#indexed(deployment))
      .filter(({ state }) => !onlyReady || state === 'READY')
      .sort((one, other) => one.name.localeCompare(other.name));
  }

  /**
   * Loads the version in production into memory, or removes it from there, on every worker that holds it. A model that
   * is not in memory is loaded again by its next call.
   *
   * @param model its name, or its id
   * @throws access.forbidden, model.not_found, model.not_ready when no worker holds it, worker.unreachable, what a worker says
   */
  async control(principal: Principal, what: 'load' | 'unload', model: string, requestId: string): Promise<void> {
    const deployment = this.operated(principal, model);
    const { modelId, version } = deployment;
    await Promise.all(
      this.#urlsOf(deployment).map((url) =>
        this.workers.ask({
          url,
          path: `/v2/repository/models/${encodeURIComponent(modelId)}/${what}`,
          body: { parameters: { version } },
          principal,
          requestId,
          timeoutMs: CONTROL_TIMEOUT_MS,
        }),
      ),
    );
  }

  /**
   * What an operator means by a model's name or id: a public model, one of their own tenant, or the only private one of
   * this name.
   *
   * @throws access.forbidden, model.not_found, request.invalid when several tenants have a private model of the name
   */
  operated(principal: Principal, model: string, version?: string): DeploymentState {
    authorise(principal, 'operator');
    const own = this.catalogue.deployment(model, DEFAULT_ALIAS, principal.tenantId);
    const named = this.production().filter((one) => one.model === model || one.modelId === model);
    if (own === undefined && named.length > 1)
      throw new AppError('request.invalid', { field: 'model', message: 'Several tenants have a model of this name: use its id.' });
    const deployment = own ?? named[0];
    if (deployment === undefined || (version !== undefined && version !== deployment.version)) throw new AppError('model.not_found');
    return deployment;
  }

  /** The versions in production, of every tenant. */
  production(): DeploymentState[] {
    return [...this.catalogue.deployments()].filter(({ alias }) => alias === DEFAULT_ALIAS);
  }

  #indexed({ model, version, versionId }: DeploymentState): IndexedModel {
    if (this.catalogue.readyWorkersFor(versionId).length > 0) return { name: model, version, state: 'READY', reason: '' };
    const held = this.catalogue.workers().flatMap(({ versions }) => versions.filter((one) => one.versionId === versionId));
    if (held.some(({ state }) => state === 'loading')) return { name: model, version, state: 'LOADING', reason: '' };
    const failure = held.find(({ state }) => state === 'failed');
    return { name: model, version, state: 'UNAVAILABLE', reason: failure?.error ?? 'no worker has it' };
  }

  /** Where the workers that hold a version take what concerns it. */
  #urlsOf({ versionId }: DeploymentState): string[] {
    const urls = this.catalogue
      .workers()
      .flatMap(({ url, versions }) => versions.filter((one) => one.versionId === versionId).map((one) => one.url ?? url));
    if (urls.length === 0) throw new AppError('model.not_ready');
    return urls;
  }
}
