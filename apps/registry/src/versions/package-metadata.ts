import { taskSchema, type PackageFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { z } from 'zod';
import { displayText, licenceText, paragraphText, tagText } from '../texts.ts';

const MAX_METADATA_BYTES = 4 * 1_048_576;
/** An example picture larger than this is not shown. */
const MAX_EXAMPLE_BYTES = 65_536;
const MAX_LABELS = 100_000;
const MAX_EXAMPLES = 20;

const metricSchema = z.looseObject({
  name: z.string().min(1).max(100),
  value: z.number(),
  dataset: z.string().max(200).optional(),
  split: z.string().max(200).optional(),
  n: z.number().int().nonnegative().optional(),
});

const exampleSchema = z.looseObject({
  input: z.looseObject({ text: z.string().max(10_000).optional(), imageFile: z.string().max(200).optional() }),
  expected: z.looseObject({ label: z.string().max(200).optional() }).optional(),
});

const weirFileSchema = z.looseObject({
  task: taskSchema.optional(),
  model: z.string().max(200).optional(),
  displayName: displayText.optional(),
  description: paragraphText.optional(),
  licence: licenceText.optional(),
  tags: z.array(tagText).max(20).optional(),
  metrics: z.array(metricSchema).max(50).optional(),
  examples: z.array(exampleSchema).max(MAX_EXAMPLES).optional(),
});

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

/** An input to try, and what to expect. */
export interface ModelExample {
  readonly text: string | null;
  /** A PNG, JPEG or WebP file. */
  readonly imageBase64: string | null;
  readonly expectedLabel: string | null;
}

/** What a package says of itself: `weir.json` and `config.json`. */
export interface PackageMetadata {
  readonly weir: z.infer<typeof weirFileSchema>;
  readonly labels: readonly string[];
  readonly metrics: readonly ModelMetric[];
  readonly examples: readonly ModelExample[];
}

/** Reads a content that is at most `maxBytes` large; null when it is larger. */
export type ReadSmallFile = (sha256: string, maxBytes: number) => Promise<Buffer | null>;

/** @throws request.invalid on the file that is wrong, naming the field in it */
export async function readPackageMetadata(files: readonly PackageFile[], readSmall: ReadSmallFile): Promise<PackageMetadata> {
  const weir = (await parsed(files, 'weir.json', weirFileSchema, readSmall)) ?? {};
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
  examples: readonly z.infer<typeof exampleSchema>[],
  readSmall: ReadSmallFile,
): Promise<ModelExample[]> {
  return Promise.all(
    examples.map(async ({ input, expected }) => {
      const picture = files.find((file) => file.path === input.imageFile);
      const bytes = picture === undefined ? null : await readSmall(picture.sha256, MAX_EXAMPLE_BYTES);
      return {
        text: input.text === undefined ? null : storable(input.text),
        imageBase64: bytes?.toString('base64') ?? null,
        expectedLabel: expected?.label === undefined ? null : storable(expected.label),
      };
    }),
  );
}

/** PostgreSQL keeps no zero characters and no halves of characters. */
function storable(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd');
}
