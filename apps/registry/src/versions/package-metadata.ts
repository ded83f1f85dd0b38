import { weirFileSchema, type PackageFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { parseInferenceRequest } from '@weir/open-inference';
import { z } from 'zod';
import { displayText, licenceText, paragraphText, tagText } from '../texts.ts';

export const MAX_METADATA_BYTES = 4 * 1_048_576;
/** An example file larger than this is not shown. */
export const MAX_EXAMPLE_BYTES = 65_536;
const MAX_LABELS = 100_000;
const MAX_FEATURES = 1_000;

/** A record of an example: features by name. */
export const exampleRecordSchema = z
  .record(z.string().max(200), z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]))
  .refine((record) => Object.keys(record).length <= MAX_FEATURES);

/** `weir.json` as the catalogue takes it: what people read in it has the bounds that texts of the catalogue have. */
export const publishedWeirFileSchema = weirFileSchema.extend({
  displayName: displayText.optional(),
  description: paragraphText.optional(),
  licence: licenceText.optional(),
  tags: z.array(tagText).max(20).optional(),
});
type PublishedWeirFile = z.infer<typeof publishedWeirFileSchema>;

const configFileSchema = z.looseObject({ id2label: z.record(z.string().regex(/^\d{1,6}$/), z.string().max(200)).optional() });

/** How good a version is, as its publisher measured it. */
export interface ModelMetric {
  readonly name: string;
  readonly value: number;
  readonly dataset: string | null;
  readonly split: string | null;
  /** Items that it was measured on. */
  readonly items: number | null;
}

/** An input to try, and what to expect: one of the inputs, null when its file is too large to show. */
export interface ModelExample {
  readonly text: string | null;
  /** A PNG, JPEG or WebP file. */
  readonly imageBase64: string | null;
  /** A WAV file. */
  readonly audioBase64: string | null;
  /** Features by name. */
  readonly record: Readonly<z.infer<typeof exampleRecordSchema>> | null;
  readonly user: string | null;
  readonly seed: number | null;
  /** An Open Inference Protocol request of raw tensors. */
  readonly requestJson: string | null;
  readonly expectedLabel: string | null;
}

/** What a package says of itself: `weir.json` and `config.json`. */
export interface PackageMetadata {
  readonly weir: PublishedWeirFile;
  readonly labels: readonly string[];
  readonly metrics: readonly ModelMetric[];
  readonly examples: readonly ModelExample[];
}

/** Reads a content that is at most `maxBytes` large; null when it is larger. */
export type ReadSmallFile = (sha256: string, maxBytes: number) => Promise<Buffer | null>;

/** @throws request.invalid on the file that is wrong, naming the field in it */
export async function readPackageMetadata(files: readonly PackageFile[], readSmall: ReadSmallFile): Promise<PackageMetadata> {
  const weir = (await parsed(files, 'weir.json', publishedWeirFileSchema, readSmall)) ?? {};
  const config = (await parsed(files, 'config.json', configFileSchema, readSmall)) ?? {};
  return {
    weir,
    labels: labelsOf(config.id2label ?? {}),
    metrics: (weir.metrics ?? []).map(({ name, value, dataset, split, n }) => ({
      name,
      value,
      dataset: dataset ?? null,
      split: split ?? null,
      items: n ?? null,
    })),
    examples: await examplesOf(files, weir.examples ?? [], readSmall),
  };
}

function invalid(files: readonly PackageFile[], path: string, problem: string): AppError {
  const field = `input.files[${files.findIndex((file) => file.path === path)}]`;
  return new AppError('request.invalid', { field, message: `${field}: ${path} ${problem}.` });
}

async function parsed<S extends z.ZodType>(
  files: readonly PackageFile[],
  path: string,
  schema: S,
  readSmall: ReadSmallFile,
): Promise<z.output<S> | null> {
  const file = files.find((candidate) => candidate.path === path);
  if (file === undefined) return null;
  const content = await readSmall(file.sha256, MAX_METADATA_BYTES);
  if (content === null) throw invalid(files, path, `is larger than ${MAX_METADATA_BYTES} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(content.toString('utf8'));
  } catch {
    // The parser's message would quote the file.
    throw invalid(files, path, 'is not JSON');
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalid(files, path, `is not valid at ${issue?.path.map(String).join('.') || 'its root'} (${issue?.code ?? 'invalid'})`);
}

function labelsOf(id2label: Readonly<Record<string, string>>): string[] {
  const labels: string[] = [];
  for (const [index, label] of Object.entries(id2label)) if (Number(index) < MAX_LABELS) labels[Number(index)] = storable(label);
  return Array.from(labels, (label, index) => label ?? `LABEL_${index}`);
}

async function examplesOf(
  files: readonly PackageFile[],
  examples: NonNullable<PublishedWeirFile['examples']>,
  readSmall: ReadSmallFile,
): Promise<ModelExample[]> {
  const read = async (path: string | undefined): Promise<Buffer | null> => {
    const file = path === undefined ? undefined : files.find((candidate) => candidate.path === path);
    return file === undefined ? null : readSmall(file.sha256, MAX_EXAMPLE_BYTES);
  };
  return Promise.all(
    examples.map(async ({ input, expected }, index) => ({
      text: input.text === undefined ? null : storable(input.text),
      imageBase64: (await read(input.imageFile))?.toString('base64') ?? null,
      audioBase64: (await read(input.audioFile))?.toString('base64') ?? null,
      record: input.record === undefined ? null : recordOf(files, input.record, `examples.${index}.input.record`),
      user: input.user === undefined ? null : storable(input.user),
      seed: input.seed ?? null,
      requestJson: requestOf(files, input.requestFile, await read(input.requestFile)),
      expectedLabel: expected?.label === undefined ? null : storable(expected.label),
    })),
  );
}

function recordOf(files: readonly PackageFile[], record: unknown, field: string): NonNullable<ModelExample['record']> {
  const { success, data } = exampleRecordSchema.safeParse(record);
  if (!success)
    throw invalid(
      files,
      'weir.json',
      `is not valid at ${field}: a record is up to ${MAX_FEATURES} texts, numbers, booleans or nulls by name`,
    );
  return Object.fromEntries(
    Object.entries(data).map(([name, value]) => [storable(name), typeof value === 'string' ? storable(value) : value]),
  );
}

function requestOf(files: readonly PackageFile[], path: string | undefined, content: Buffer | null): string | null {
  if (path === undefined || content === null) return null;
  const text = content.toString('utf8');
  try {
    parseInferenceRequest(JSON.parse(text));
  } catch {
    throw invalid(files, path, 'is not a request of the Open Inference Protocol in JSON');
  }
  return storable(text);
}

/** PostgreSQL keeps no zero characters and no halves of characters. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd');
}
