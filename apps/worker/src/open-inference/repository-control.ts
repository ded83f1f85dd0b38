import { AppError } from '@weir/kernel';
import { z } from 'zod';

/** Maximum duration of a load or unload that an operator asks for. */
export const CONTROL_TIMEOUT_MS = 120_000;

const controlSchema = z.looseObject({ parameters: z.looseObject({ version: z.string().optional() }).optional() });

/**
 * `parameters.version` in the JSON body of a load or unload; undefined where it names none.
 *
 * @throws request.invalid the body is no object of this form
 */
export function versionNamedIn(body: unknown): string | undefined {
  const parsed = controlSchema.safeParse(body);
  if (!parsed.success)
    throw new AppError('request.invalid', { field: 'parameters.version', message: 'parameters.version must be the name of a version.' });
  return parsed.data.parameters?.version;
}
