import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { readEnvironment } from './environment.ts';
import type { SettingDefinition, SettingDefinitions } from './settings.ts';

const BEGIN = '<!-- settings: written by WEIR_UPDATE_DOCS=1 npx vitest run --project unit, from the definitions -->';
const END = '<!-- end of settings -->';

/** The settings for people: a table in Markdown with the variable, its default, what is allowed and what it means. */
export function settingsTable(definitions: SettingDefinitions): string {
  const rows = Object.values(definitions).map((definition) => [
    `\`${definition.env}\``,
    defaultOf(definition),
    allowedBy(definition.schema),
    definition.description,
  ]);
  return table([['variable', 'default', 'allowed', 'meaning'], ...rows]);
}

/**
 * For a spec: fails unless the table in the document, between its two marks, is that of the definitions. With WEIR_UPDATE_DOCS=1 it
 * writes the table.
 */
export function expectSettingsAreDocumented(document: URL, definitions: SettingDefinitions): void {
  const text = readFileSync(document, 'utf8');
  const [before, rest = ''] = text.split(BEGIN);
  const [, after] = rest.split(END);
  if (before === undefined || after === undefined) throw new Error(`${document.pathname} needs the lines ${BEGIN} and ${END}`);
  const current = `${before}${BEGIN}\n\n${settingsTable(definitions)}\n\n${END}${after}`;
  if (readEnvironment()['WEIR_UPDATE_DOCS'] === '1') writeFileSync(document, current);
  else if (text !== current)
    throw new Error(
      `the settings in ${document.pathname} are not those of the code: run the spec with WEIR_UPDATE_DOCS=1 and commit the change`,
    );
}

function defaultOf({ schema }: SettingDefinition<unknown>): string {
  const unset = schema.safeParse(undefined);
  if (!unset.success) return 'must be set';
  const value = unset.data;
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function allowedBy(schema: z.ZodType): string {
  const { type, enum: values, minimum, maximum, format, pattern } = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' });
  if (typeof schema.safeParse(undefined).data === 'boolean') return '`true`, `false`';
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(', ');
  if (type === 'integer' || type === 'number') return `${minimum} to ${maximum}`;
  if (format === 'uri') return 'a URL';
  if (pattern !== undefined) return `\`${pattern.replaceAll('|', '\\|')}\``;
  return '';
}

/** As prettier writes tables, so that the check of formats and this one agree. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[], filler = ' '): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, filler)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  const rule = line(
    head.map(() => ''),
    '-',
  );
  return [line(head), rule, ...body.map((row) => line(row))].join('\n');
}
