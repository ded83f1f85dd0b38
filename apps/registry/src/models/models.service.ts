import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import { Database } from '@weir/platform/database';
import type { PageRequest } from '@weir/platform/graphql';
import type { RegistryDatabase } from '../registry-database.ts';
import { modelNameSchema } from '../versions/model-version.ts';
import type { ModelView } from './model.ts';
import { findModel, listModels, type ModelFilter } from './models.store.ts';

/** Models that a tenant may see: the public ones and its own. */
@Injectable()
export class ModelsService {
  readonly #database: RegistryDatabase;

  constructor(@Inject(Database) database: RegistryDatabase) {
    this.#database = database;
  }

  /** By name. */
  async list(principal: Principal, filter: ModelFilter, page: PageRequest): Promise<ModelView[]> {
    authorise(principal, 'models.read');
    return this.#database.transaction(principal.tenantId, (tx) => listModels(tx, filter, page));
  }

  /** Null when there is none, or none that the principal may see. */
  async find(principal: Principal, name: string): Promise<ModelView | null> {
    authorise(principal, 'models.read');
    if (!modelNameSchema.safeParse(name).success) return null;
    return this.#database.transaction(principal.tenantId, (tx) => findModel(tx, name));
  }
}
