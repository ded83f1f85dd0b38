import { hash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { DeploymentState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import type { ReadyWorker } from '../projections/worker-directory.ts';
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
   * @throws model.not_ready    no worker has it loaded
   * @throws worker.unreachable none is left that has not failed it
   */
  choose({ versionId }: DeploymentState, except: ReadonlySet<string>): ReadyWorker {
    let chosen: ReadyWorker | undefined;
    let fewest = Infinity;
    for (const worker of this.#catalogue.readyWorkersFor(versionId)) {
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

  /**
   * The worker for calls that belong together: at every gateway the same one, as long as it lives (rendezvous hashing:
   * when a worker comes or goes, only the calls that it gets or had move).
   *
   * @param affinity what the calls have in common
   * @throws model.not_ready no worker has it loaded
   */
  chooseFor({ versionId }: DeploymentState, affinity: string): ReadyWorker {
    let chosen: ReadyWorker | undefined;
    let highest = '';
    for (const worker of this.#catalogue.readyWorkersFor(versionId)) {
      const weight = hash('sha256', `${worker.id} ${affinity}`);
      if (weight > highest) {
        chosen = worker;
        highest = weight;
      }
    }
    if (chosen === undefined) throw new AppError('model.not_ready', { retryAfterMs: NOT_READY_RETRY_MS });
    return chosen;
  }

  /** Counts a call to a worker until the returned function is called. */
  track({ id }: ReadyWorker): () => void {
    this.#underWay.set(id, (this.#underWay.get(id) ?? 0) + 1);
    return () => {
      const rest = (this.#underWay.get(id) ?? 1) - 1;
      if (rest > 0) this.#underWay.set(id, rest);
      else this.#underWay.delete(id);
    };
  }
}
