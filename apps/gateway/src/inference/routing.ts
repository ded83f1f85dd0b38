import { Inject, Injectable } from '@nestjs/common';
import type { DeploymentState, WorkerState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { CATALOGUE, type Catalogue } from './catalogue.ts';

/** A model is loaded within seconds once it is placed. */
const NOT_READY_RETRY_MS = 2_000;

/** Step 4, route: among the live workers that have the version loaded, the one with the fewest calls of this gateway. */
@Injectable()
export class Router {
  readonly #catalogue: Catalogue;
  readonly #underWay = new Map<string, number>();

  constructor(@Inject(CATALOGUE) catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /**
   * @param except workers that failed this call already
   * @throws model.not_ready no worker has it loaded
   */
  choose(deployment: DeploymentState, except: ReadonlySet<string>): WorkerState {
    let chosen: WorkerState | undefined;
    let fewest = Infinity;
    for (const worker of this.#catalogue.readyWorkersFor(deployment.versionId)) {
      const calls = this.#underWay.get(worker.id) ?? 0;
      if (calls < fewest && !except.has(worker.id)) {
        chosen = worker;
        fewest = calls;
      }
    }
    if (chosen === undefined)
      throw new AppError(except.size > 0 ? 'worker.unreachable' : 'model.not_ready', { retryAfterMs: NOT_READY_RETRY_MS });
    return chosen;
  }

  /** Counts a call to a worker until the returned function is called. */
  track(worker: WorkerState): () => void {
    this.#underWay.set(worker.id, (this.#underWay.get(worker.id) ?? 0) + 1);
    return () => {
      const rest = (this.#underWay.get(worker.id) ?? 1) - 1;
      if (rest > 0) this.#underWay.set(worker.id, rest);
      else this.#underWay.delete(worker.id);
    };
  }
}
