import { readFileSync } from 'node:fs';
import { expectSectionIsCurrent } from '@weir/platform/config';
import { hostilePackages } from '@weir/testing';
import { expect, it } from 'vitest';
import { fieldsTable, hostileTable, limitsTable, modelFilesList, tasksTable } from './model-packages-document.fixture.ts';
import { publishedWeirFileSchema } from './package-metadata.ts';

const DOCUMENT = new URL('../../../../docs/model-packages.md', import.meta.url);

it.each([
  ['places', modelFilesList()],
  ['fields', fieldsTable()],
  ['tasks', tasksTable()],
  ['limits', limitsTable()],
  ['packages', hostileTable(hostilePackages())],
])('docs/model-packages.md says the same as the code: %s', (name, content) => {
  expectSectionIsCurrent(DOCUMENT, name, content);
});

it('the example in docs/model-packages.md is a weir.json of known fields', () => {
  const [, example = ''] = /```json\n([^`]*)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  const parsed = publishedWeirFileSchema.parse(JSON.parse(example));
  expect(parsed).toEqual(JSON.parse(example));
  expect(Object.keys(parsed).filter((field) => !Object.hasOwn(publishedWeirFileSchema.shape, field))).toEqual([]);
});

it('its tables show what a field may be, whether it is needed, and what stands in', () => {
  const rows = fieldsTable().split('\n');
  const row = (field: string) => rows.find((line) => line.startsWith(`| \`${field}\` `))?.replaceAll(/ +/g, ' ');
  expect(row('model')).toContain('| path in the package | |');
  expect(row('metrics[].value')).toContain('| number | must be set |');
  expect(row('embedding.pooling')).toContain('| `mean`, `cls`, `last-token`, `none` | `mean` |');
  expect(row('tabular.features[].kind')).toContain('| `number` or `category` | must be set |');
  expect(row('generation.range')).toContain('| list of 2: number, number | `[0,1]` |');
  expect(row('runtime.instances')).toContain('| whole number, 1 to 64 | |');
});
