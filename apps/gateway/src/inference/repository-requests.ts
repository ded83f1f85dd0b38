import { AppError } from '@weir/kernel';
import { assertJsonDepth } from '@weir/platform/http';
import { z } from 'zod';

const indexSchema = z.object({ ready: z.boolean('ready must be true or false').default(false) });
const controlSchema = z.object({ parameters: z.record(z.string(), z.unknown(), 'parameters must be an object').default({}) });

/** @throws request.malformed, request.invalid naming the field */
export function parseIndex(body: unknown): z.infer<typeof indexSchema> {
  return parse(indexSchema, body);
}

/**
 * A request to load or unload a model; it may say that dependent models are to be unloaded, of which there are none.
 *
 * @throws request.malformed, request.invalid naming the field: a version is loaded as it was published
 */
export function parseControl(body: unknown): void {
  assertAsPublished(Object.keys(parse(controlSchema, body).parameters));
}

/** @throws request.invalid when parameters would change the model */
export function assertAsPublished(parameters: readonly string[]): void {
  const other = parameters.find((name) => name !== 'unload_dependents');
  if (other !== undefined)
    throw new AppError('request.invalid', {
      field: `parameters.${other}`,
      message: 'A version is loaded as it was published: config and files are not taken here.',
    });
}

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(Buffer.isBuffer(body) && body.length > 0 ? parseJson(body) : {});
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new AppError('request.invalid', {
    field: issue?.path.join('.') ?? '',
    message: issue?.path.length === 0 ? 'The body must be a JSON object.' : issue?.message,
  });
}

function parseJson(body: Buffer): unknown {
  assertJsonDepth(body);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new AppError('request.malformed', { cause: error });
  }
}
