import { createMetrics } from '@weir/platform/telemetry';
import { describe, expect, it } from 'vitest';
import { ServingMetrics } from './serving-metrics.ts';

describe('metrics of versions', () => {
  it("name the models of every tenant, and of a tenant's own model neither its name, nor its version, nor the tenant", async () => {
    const registry = createMetrics('worker');
    const own = { versionId: 'v-1', model: 'acme/secret-project', version: 'acme-2026' };
    const shared = { versionId: 'v-2', model: 'digits', version: '1.0.1' };
    const metrics = new ServingMetrics(registry, () => [own, shared].map((version) => ({ ...version, queueLength: 1, memoryBytes: 2 })));
    for (const version of [own, shared]) {
      const series = metrics.seriesOf(version);
      series.queue.observe(1);
      series.run.observe(1);
      series.batch.observe(1);
      series.padding.inc(1);
      series.failedRuns.inc();
      for (const rejection of Object.values(series.rejections)) rejection.inc();
      metrics.loaded(version, 'ready', 1);
    }
    const text = await registry.metrics();
    expect(text).not.toMatch(/acme|secret-project/);
    const names = new Set(Array.from(text.matchAll(/^(weir_model_\w+?)(?:_bucket|_sum|_count)?\{/gm), ([, name]) => name));
    for (const name of names) {
      expect(text).toMatch(new RegExp(`^${name}\\w*\\{[^}]*model="private",version="v-1"`, 'm'));
      expect(text).toMatch(new RegExp(`^${name}\\w*\\{[^}]*model="digits",version="1.0.1"`, 'm'));
    }
    expect(names.size).toBe(10);
  });
});
