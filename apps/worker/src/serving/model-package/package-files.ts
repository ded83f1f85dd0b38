import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PackageFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import type { z } from 'zod';

/** The files of one package, as the registry listed them: what is not listed is not there. */
export interface PackageFiles {
  readonly directory: string;
  readonly files: ReadonlyMap<string, PackageFile>;
}

/** Tokenizers of many languages are the largest files that are read whole. */
const MAX_JSON_BYTES = 64 * 1_048_576;

/** What is wrong with a file of a package, said without the path of the machine. */
export function invalidFile(path: string, problem: string): AppError {
  return new AppError('model.package_invalid', { field: path, message: `${path} of the package ${problem}` });
}

/**
 * A JSON file of a package that is as the schema says; null when the package does not have it.
 *
 * @throws model.package_invalid naming the file, and the field that is wrong
 */
export async function readJson<T>(files: PackageFiles, path: string, schema: z.ZodType<T>): Promise<T | null> {
  const file = files.files.get(path);
  if (file === undefined) return null;
  if (file.sizeBytes > MAX_JSON_BYTES) throw invalidFile(path, `is larger than ${MAX_JSON_BYTES} bytes`);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(join(files.directory, path), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalidFile(path, 'is not JSON');
    throw error;
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalidFile(path, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`);
}

/**
 * A JSON file that the package must have.
 *
 * @throws model.package_invalid naming the file that is missing or wrong
 */
export async function readRequiredJson<T>(files: PackageFiles, path: string, schema: z.ZodType<T>): Promise<T> {
  const content = await readJson(files, path, schema);
  if (content === null) throw invalidFile(path, 'is missing');
  return content;
}

/**
 * The absolute path of a file of the package.
 *
 * @throws model.package_invalid when the package does not have it
 */
export function pathOf({ directory, files }: PackageFiles, path: string): string {
  if (!files.has(path)) throw invalidFile(path, 'is missing');
  return join(directory, path);
}
