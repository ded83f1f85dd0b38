import { Inject, Injectable } from '@nestjs/common';
import { authorise, type Principal } from '@weir/access';
import type { DeploymentState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { z } from 'zod';
import { CATALOGUE, type Catalogue } from './catalogue.ts';
import { ModelRepository } from './model-repository.ts';
import { WorkerClient } from './worker-client.ts';

const TIMEOUT_MS = 5_000;
/** Workers that are asked at once for the statistics of all models. */
const CONCURRENCY = 16;

const count = z.number().nonnegative().default(0);
const duration = z.object({ count, ns: count }).default({ count: 0, ns: 0 });
const compute = { compute_input: duration, compute_infer: duration, compute_output: duration };
const inferStats = z.object({
  success: duration,
  fail: duration,
  queue: duration,
  ...compute,
  cache_hit: duration,
  cache_miss: duration,
});

const statisticsSchema = z.object({
  last_inference: count,
  inference_count: count,
  execution_count: count,
  inference_stats: inferStats.default(inferStats.parse({})),
  batch_stats: z.array(z.object({ batch_size: count, ...compute })).default([]),
  memory_usage: z.array(z.object({ type: z.string(), id: z.number(), byte_size: count })).default([]),
});

type WorkerStatistics = z.infer<typeof statisticsSchema>;
type Duration = WorkerStatistics['inference_stats']['queue'];

/** Of one version, in the terms of Triton's extension: counts, times in nanoseconds, the last call in milliseconds since 1970. */
export type VersionStatistics = WorkerStatistics & { readonly name: string; readonly version: string };

const answerSchema = z.object({ model_stats: z.array(statisticsSchema) });

/** What workers counted of the versions in production, summed over the workers. For operators. */
@Injectable()
export class ModelStatistics {
  constructor(
    @Inject(CATALOGUE) private readonly catalogue: Catalogue,
    @Inject(ModelRepository) private readonly repository: ModelRepository,
    @Inject(WorkerClient) private readonly workers: WorkerClient,
  ) {}

  /** @throws access.forbidden, model.not_found, model.not_ready, worker.unreachable */
  async read(principal: Principal, model: string, version: string | undefined, requestId: string): Promise<VersionStatistics> {
    const deployment = this.repository.operated(principal, model, version);
    const counted = await this.#ask(principal, deployment, requestId);
    if (counted.length === 0) throw new AppError('model.not_ready');
    return { name: deployment.model, version: deployment.version, ...counted.reduce(sum) };
  }

  /** Of every version that a worker has ready. @throws access.forbidden, worker.unreachable */
  async readAll(principal: Principal, requestId: string): Promise<VersionStatistics[]> {
    authorise(principal, 'operator');
    const waiting = this.repository.production();
    const found: VersionStatistics[] = [];
    const work = async (): Promise<void> => {
      for (let deployment = waiting.pop(); deployment !== undefined; deployment = waiting.pop()) {
        const counted = await this.#ask(principal, deployment, requestId);
        if (counted.length > 0) found.push({ name: deployment.model, version: deployment.version, ...counted.reduce(sum) });
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    return found.sort((one, other) => one.name.localeCompare(other.name));
  }

  async #ask(principal: Principal, { modelId, version, versionId }: DeploymentState, requestId: string): Promise<WorkerStatistics[]> {
    const answers = await Promise.all(
      this.catalogue.readyWorkersFor(versionId).map(({ url }) =>
        this.workers.ask({
          url,
          path: `/v2/models/${encodeURIComponent(modelId)}/versions/${encodeURIComponent(version)}/stats`,
          principal,
          requestId,
          timeoutMs: TIMEOUT_MS,
        }),
      ),
    );
    return answers.flatMap((answer) => {
      const { success, data, error } = answerSchema.safeParse(answer);
      if (!success) throw new AppError('model.failed', { cause: error });
      return data.model_stats;
    });
  }
}

/** What two workers counted together. */
export function sum(one: WorkerStatistics, other: WorkerStatistics): WorkerStatistics {
  const batches = new Map(one.batch_stats.map((batch) => [batch.batch_size, batch]));
  for (const batch of other.batch_stats) {
    const same = batches.get(batch.batch_size);
    batches.set(batch.batch_size, same === undefined ? batch : { batch_size: batch.batch_size, ...sumOfComputes(same, batch) });
  }
  const [stats, others] = [one.inference_stats, other.inference_stats];
  return {
    last_inference: Math.max(one.last_inference, other.last_inference),
    inference_count: one.inference_count + other.inference_count,
    execution_count: one.execution_count + other.execution_count,
    inference_stats: {
      success: sumOf(stats.success, others.success),
      fail: sumOf(stats.fail, others.fail),
      queue: sumOf(stats.queue, others.queue),
      ...sumOfComputes(stats, others),
      cache_hit: sumOf(stats.cache_hit, others.cache_hit),
      cache_miss: sumOf(stats.cache_miss, others.cache_miss),
    },
    batch_stats: [...batches.values()].sort((small, large) => small.batch_size - large.batch_size),
    memory_usage: [...one.memory_usage, ...other.memory_usage],
  };
}

type Computes = Pick<WorkerStatistics['inference_stats'], 'compute_input' | 'compute_infer' | 'compute_output'>;

function sumOfComputes(one: Computes, other: Computes): Computes {
  return {
    compute_input: sumOf(one.compute_input, other.compute_input),
    compute_infer: sumOf(one.compute_infer, other.compute_infer),
    compute_output: sumOf(one.compute_output, other.compute_output),
  };
}

function sumOf(one: Duration, other: Duration): Duration {
  return { count: one.count + other.count, ns: one.ns + other.ns };
}
