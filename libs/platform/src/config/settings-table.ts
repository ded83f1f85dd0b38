import { z } from 'zod';
import { expectSectionIsCurrent, markdownTable } from './document-section.ts';
import type { SettingDefinition, SettingDefinitions } from './settings.ts';

/** The settings for people: a table in Markdown with the variable, its default, what is allowed and what it means. */
export function settingsTable(definitions: SettingDefinitions): string {
  const rows = Object.values(definitions).map((definition) => [
    `\`${definition.env}\``,
    defaultOf(definition),
    allowedBy(definition.schema),
    definition.description,
  ]);
  return markdownTable([['variable', 'default', 'allowed', 'meaning'], ...rows]);
}

/**
 * For a spec: fails unless the table in the document, between its two marks, is that of the definitions. With WEIR_UPDATE_DOCS=1 it
 * writes the table.
 */
export function expectSettingsAreDocumented(document: URL, definitions: SettingDefinitions): void {
  expectSectionIsCurrent(document, 'settings', settingsTable(definitions));
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
