import { z } from 'zod';

/** One setting: the environment variable that it comes from, what is allowed, and what it means. */
export interface SettingDefinition<T> {
  /** Name of the environment variable. */
  readonly env: string;
  /** Parses the variable's text; `undefined` is given when it is not set or empty. */
  readonly schema: z.ZodType<T>;
  /** For the documentation: meaning, unit, bounds. */
  readonly description: string;
}

export type SettingDefinitions = Readonly<Record<string, SettingDefinition<unknown>>>;

/** The parsed settings of a table of definitions. */
export type SettingsOf<D extends SettingDefinitions> = { readonly [K in keyof D]: D[K] extends SettingDefinition<infer T> ? T : never };

/** Declares settings; exists for its types. */
export function defineSettings<D extends SettingDefinitions>(definitions: D): D {
  return definitions;
}

/** Every setting that is wrong, at once. */
export class SettingsError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`These settings are wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

/**
 * Parses all settings once.
 *
 * @throws SettingsError with a line for each bad setting: its name and what is allowed; never its value, which may be a secret
 */
export function loadSettings<D extends SettingDefinitions>(
  definitions: D,
  environment: Readonly<Record<string, string | undefined>>,
): SettingsOf<D> {
  const problems: string[] = [];
  const parsed: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    const text = environment[definition.env];
    const result = definition.schema.safeParse(text === '' ? undefined : text);
    if (result.success) parsed[name] = result.data;
    else problems.push(`${definition.env}: ${result.error.issues.map((issue) => issue.message).join('; ')} (${definition.description})`);
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return parsed as SettingsOf<D>;
}

/** Schemas for what settings usually are. */
export const settingSchemas = {
  port: (byDefault: number) =>
    z.coerce
      .number('must be a port number')
      .int('must be a whole number')
      .min(0, 'must be 0 to 65535')
      .max(65535, 'must be 0 to 65535')
      .default(byDefault),
  integer: (min: number, max: number, byDefault: number) =>
    z.coerce
      .number('must be a number')
      .int('must be a whole number')
      .min(min, `must be ${min} to ${max}`)
      .max(max, `must be ${min} to ${max}`)
      .default(byDefault),
  /** A comma-separated list without empty parts. */
  list: () =>
    z
      .string()
      .optional()
      .transform((text) =>
        (text ?? '')
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== ''),
      ),
  boolean: (byDefault: boolean) =>
    z
      .enum(['true', 'false'], 'must be true or false')
      .optional()
      .transform((text) => (text === undefined ? byDefault : text === 'true')),
  url: () => z.url('must be a URL'),
  requiredText: () => z.string('must be set').min(1, 'must be set'),
  optionalText: () => z.string().optional(),
} as const;
