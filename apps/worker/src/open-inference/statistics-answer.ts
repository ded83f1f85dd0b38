import type { VersionStatistics } from '../statistics/version-statistics.ts';

/** Statistics of a version in the form of Triton's extension; times in nanoseconds. */
export function statisticsOf(name: string, version: string, statistics: VersionStatistics): Record<string, unknown> {
  const report = statistics.report();
  const none = { count: 0, ns: 0 };
  return {
    name,
    version,
    last_inference: report.lastInferenceMs,
    inference_count: report.inferenceCount,
    execution_count: report.executionCount,
    inference_stats: {
      success: report.success,
      fail: report.fail,
      queue: report.queue,
      compute_input: none,
      compute_infer: report.compute,
      compute_output: none,
      cache_hit: none,
      cache_miss: none,
    },
    batch_stats: [...report.batches].map(([rows, compute]) => ({
      batch_size: rows,
      compute_input: none,
      compute_infer: compute,
      compute_output: none,
    })),
  };
}
