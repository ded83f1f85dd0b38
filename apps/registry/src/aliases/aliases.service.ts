import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { AppError, type Clock } from '@weir/kernel';
import { Database, Outbox } from '@weir/platform/database';
import { CLOCK } from '@weir/platform/service';
import { z } from 'zod';
import type { ModelView } from '../models/model.ts';
import { findModel, lockModelName } from '../models/models.store.ts';
import { PlacementTrigger } from '../placements/placement-trigger.ts';
import type { RegistryDatabase, RegistryTransaction } from '../registry-database.ts';
import { aliasSchema, modelNameSchema, versionNameSchema } from '../versions/model-version.ts';
import { findVersion } from '../versions/versions.store.ts';
import { announceDeployments, deleteAlias, saveAlias, withdrawDeployment } from './aliases.store.ts';

export const setModelAliasSchema = z.object({ name: modelNameSchema, alias: aliasSchema, version: versionNameSchema });
export type SetModelAlias = z.infer<typeof setModelAliasSchema>;

export const removeModelAliasSchema = z.object({ name: modelNameSchema, alias: aliasSchema });
export type RemoveModelAlias = z.infer<typeof removeModelAliasSchema>;

/** Names such as `production` that point at a version of a model: what an alias points to is deployed. */
@Injectable()
export class AliasesService {
  readonly #database: RegistryDatabase;
  readonly #outbox: Outbox;
  readonly #placements: PlacementTrigger;
  readonly #clock: Clock;

  constructor(
    @Inject(Database) database: RegistryDatabase,
    @Inject(Outbox) outbox: Outbox,
    @Inject(PlacementTrigger) placements: PlacementTrigger,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.#database = database;
    this.#outbox = outbox;
    this.#placements = placements;
    this.#clock = clock;
  }

  /**
   * Points an alias of the principal's own model at one of its versions.
   *
   * @throws model.not_found  the principal may not see such a model, or it has no such version
   * @throws access.forbidden the model is another tenant's
   */
  set(principal: Principal, input: SetModelAlias): Promise<ModelView> {
    return this.#change(principal, input.name, async (tx, model) => {
      const version = await findVersion(tx, model.id, input.version);
      if (version === null)
        throw new AppError('model.not_found', { field: 'input.version', message: 'input.version: the model has no such version.' });
      await saveAlias(tx, model, input.alias, version.id, new Date(this.#clock.now()));
      await announceDeployments(tx, this.#outbox, model, input.alias);
    });
  }

  /**
   * Takes an alias away: calls by it are refused, and its version is unloaded when no other alias points to it.
   *
   * @throws model.not_found  the principal may not see such a model, or it has no such alias
   * @throws access.forbidden the model is another tenant's
   */
  remove(principal: Principal, input: RemoveModelAlias): Promise<ModelView> {
    return this.#change(principal, input.name, async (tx, model) => {
      const deployment = await deleteAlias(tx, model, input.alias);
      if (deployment === null)
        throw new AppError('model.not_found', { field: 'input.alias', message: 'input.alias: the model has no such alias.' });
      await withdrawDeployment(tx, this.#outbox, deployment);
    });
  }

  async #change(
    principal: Principal,
    name: string,
    change: (tx: RegistryTransaction, model: ModelView) => Promise<void>,
  ): Promise<ModelView> {
    authorise(principal, 'models.manage');
    const changed = await this.#database.transaction(principal.tenantId, async (tx) => {
      await lockModelName(tx, name);
      const model = await findModel(tx, name);
      if (model === null) throw new AppError('model.not_found', { field: 'input.name' });
      if (model.tenantId !== principal.tenantId)
        throw new AppError('access.forbidden', { field: 'input.name', message: 'input.name: the model belongs to another tenant.' });
      await change(tx, model);
      return (await findModel(tx, name)) ?? model;
    });
    this.#placements.wake();
    return changed;
  }
}
