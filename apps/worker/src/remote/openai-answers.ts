import { AppError } from '@weir/kernel';
import { z } from 'zod';

const embeddingSchema = z.union([z.array(z.number()).min(1), z.base64().min(1)]);
const embeddingsSchema = z.looseObject({
  data: z.array(z.looseObject({ index: z.int().nonnegative(), embedding: embeddingSchema })),
  usage: z.looseObject({ prompt_tokens: z.int().nonnegative() }).nullish(),
});
const modelsSchema = z.looseObject({ data: z.array(z.looseObject({ id: z.string() })).min(1) });

const FLOAT_BYTES = 4;
/** Tokens that a server may put around one text: special tokens, an instruction. */
const MAX_ADDED_TOKENS = 64;

/** Vectors of texts, in their order. */
export interface Embeddings {
  readonly vectors: { readonly shape: readonly [number, number]; readonly data: Float32Array };
  /** Tokens that the server claims to have read; 0 when it reports none. */
  readonly inputTokens: number;
}

/**
 * Reads the answer of `/embeddings`: vectors as numbers, or as the bytes of 32-bit floats in base64.
 *
 * @param texts that were sent
 * @throws model.failed when there is not one vector for each text, all of one size, of finite numbers
 */
export function embeddingsOf(body: Buffer, texts: number): Embeddings {
  const answer = parse(body, embeddingsSchema);
  const vectors: (Float32Array | undefined)[] = Array.from({ length: texts });
  for (const { index, embedding } of answer.data) {
    if (index >= texts || vectors[index] !== undefined) throw failed('it numbered its vectors otherwise than the texts');
    vectors[index] = typeof embedding === 'string' ? floatsOf(embedding) : Float32Array.from(embedding);
  }
  const size = vectors[0]?.length ?? 0;
  const data = new Float32Array(texts * size);
  for (const [index, vector] of vectors.entries()) {
    if (vector === undefined || vector.length !== size) throw failed('it did not give a vector of the same size for each text');
    if (!vector.every(Number.isFinite)) throw failed('it gave vectors that are no numbers');
    data.set(vector, index * size);
  }
  return { vectors: { shape: [texts, size], data }, inputTokens: answer.usage?.prompt_tokens ?? 0 };
}

/** Most tokens that a server can have read of these texts: one a byte of UTF-8, as byte-level tokenizers have at most, and what it adds. */
export function mostInputTokens(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + MAX_ADDED_TOKENS, 0);
}

/** Does the answer of `/models` list models, and not this one? What is no such list says nothing. */
export function listsOther(body: Buffer, model: string): boolean {
  const list = modelsSchema.safeParse(jsonOf(body));
  return list.success && !list.data.data.some(({ id }) => id === model);
}

/** Little-endian, as OpenAI's API has them. */
function floatsOf(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0 || bytes.length % FLOAT_BYTES !== 0) throw failed('it gave vectors that are no 32-bit numbers');
  return Float32Array.from({ length: bytes.length / FLOAT_BYTES }, (_, index) => bytes.readFloatLE(index * FLOAT_BYTES));
}

function parse<S extends z.ZodType>(body: Buffer, schema: S): z.output<S> {
  const result = schema.safeParse(jsonOf(body), { reportInput: false });
  if (result.success) return result.data;
  throw failed(`its answer is not valid at ${result.error.issues[0]?.path.map(String).join('.') || 'its root'}`);
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function failed(what: string): AppError {
  return new AppError('model.failed', { cause: new Error(`the server that runs the model: ${what}`) });
}
