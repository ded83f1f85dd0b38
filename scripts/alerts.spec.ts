import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const rules = read('infra/prometheus/weir-alerts.yml');

it('alerts are about metrics that a process exports', () => {
  const sources = globSync('{apps,libs}/*/src/**/*.ts', { cwd: root }).map(read).join('\n');
  const metrics = [...new Set(rules.match(/\bweir_\w+/g))];
  expect(metrics.length).toBeGreaterThan(4);
  for (const metric of metrics) expect(sources, metric).toContain(`name: '${metric}'`);
});

it('each alert stands in docs/operations.md with its meaning', () => {
  const operations = read('docs/operations.md');
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  expect(alerts.length).toBeGreaterThan(4);
  for (const alert of alerts) expect(operations).toContain(`| \`${alert}\``);
});
