import { createHash } from 'node:crypto';
import type { PackageFile, Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';

const PART = /^[\w.-]{1,100}$/;
const MAX_PATH_LENGTH = 200;

/** Where the network itself may stand, when `weir.json` does not say. */
const MODEL_FILES = ['onnx/model.onnx', 'model.onnx', 'onnx/model_quantized.onnx', 'onnx/model_fp16.onnx'];

/** What a worker needs beside the network to do a task. */
const FILES_OF_TASK: Readonly<Record<Task, readonly string[]>> = {
  'image-classification': ['config.json', 'preprocessor_config.json'],
  'text-classification': ['config.json', 'tokenizer.json', 'tokenizer_config.json'],
  tensors: [],
};

/** SHA-256 over the sorted `path sha256` lines: two packages are the same when their digests are. */
export function packageDigest(files: readonly Pick<PackageFile, 'path' | 'sha256'>[]): string {
  const lines = files.map((file) => `${file.path} ${file.sha256}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}

/**
 * Checks that the files can be a package: each path once, plain, and inside the package.
 *
 * @throws request.invalid naming the file
 */
export function assertPackagePaths(files: readonly Pick<PackageFile, 'path'>[]): void {
  const seen = new Set<string>();
  for (const [index, { path }] of files.entries()) {
    const field = `input.files[${index}].path`;
    const isPlain = path.length <= MAX_PATH_LENGTH && path.split('/').every((part) => PART.test(part) && !part.startsWith('.'));
    if (!isPlain)
      throw new AppError('request.invalid', {
        field,
        message: `${field}: must be a relative path of letters, digits, ".", "-" and "_", without hidden parts.`,
      });
    // A file cannot also be a folder, and file systems without case cannot hold both spellings.
    const folded = path.toLowerCase();
    if (seen.has(folded)) throw new AppError('request.invalid', { field, message: `${field}: is given twice.` });
    seen.add(folded);
  }
  for (const [index, { path }] of files.entries()) {
    const parts = path.toLowerCase().split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      if (seen.has(parts.slice(0, depth).join('/'))) {
        const field = `input.files[${index}].path`;
        throw new AppError('request.invalid', { field, message: `${field}: lies in a folder that is also a file.` });
      }
    }
  }
}

/**
 * Checks that a package has what its task needs.
 *
 * @param modelFile the network that `weir.json` names, or undefined
 * @throws request.invalid on `input.files`, naming the file that is missing
 */
export function assertFilesForTask(task: Task, files: readonly Pick<PackageFile, 'path'>[], modelFile: string | undefined): void {
  const paths = new Set(files.map((file) => file.path));
  const missing = (what: string): AppError =>
    new AppError('request.invalid', { field: 'input.files', message: `input.files: a model for ${task} needs ${what}.` });
  if (modelFile === undefined ? !MODEL_FILES.some((path) => paths.has(path)) : !paths.has(modelFile))
    throw missing(modelFile ?? MODEL_FILES[0] ?? 'a network');
  for (const path of FILES_OF_TASK[task]) if (!paths.has(path)) throw missing(path);
}
