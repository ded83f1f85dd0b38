import { createHash } from 'node:crypto';
import { defaultModelFile, MODEL_FILES, type PackageFile, type Task, type WeirFile } from '@weir/contracts';
import { AppError } from '@weir/kernel';

const PART = /^[\w.-]{1,100}$/;
const MAX_PATH_LENGTH = 200;

/** What a worker needs beside the network to do a task. */
export const FILES_OF_TASK: Readonly<Record<Task, readonly string[]>> = {
  'image-classification': ['config.json', 'preprocessor_config.json'],
  'object-detection': ['config.json', 'preprocessor_config.json'],
  'image-to-text': [],
  'text-classification': ['config.json', 'tokenizer.json', 'tokenizer_config.json'],
  'token-classification': ['config.json', 'tokenizer.json', 'tokenizer_config.json'],
  'feature-extraction': ['tokenizer.json', 'tokenizer_config.json'],
  'tabular-classification': [],
  'tabular-regression': [],
  recommendation: [],
  'image-generation': [],
  'voice-activity-detection': [],
  tensors: [],
};

/** The section of `weir.json` without which a task cannot be done: no other file says the same. */
export const SECTION_OF_TASK: Partial<Record<Task, 'reading' | 'tabular' | 'recommendation' | 'generation' | 'audio'>> = {
  'image-to-text': 'reading',
  'tabular-classification': 'tabular',
  'tabular-regression': 'tabular',
  recommendation: 'recommendation',
  'image-generation': 'generation',
  'voice-activity-detection': 'audio',
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
 * @param weir what `weir.json` says; empty when there is none
 * @throws request.invalid on `input.files`, naming the file that is missing, or the section of `weir.json`
 */
export function assertFilesForTask(task: Task, files: readonly Pick<PackageFile, 'path'>[], weir: WeirFile): void {
  const paths = new Set(files.map((file) => file.path));
  const missing = (what: string): AppError =>
    new AppError('request.invalid', { field: 'input.files', message: `input.files: a model for ${task} needs ${what}.` });
  const section = SECTION_OF_TASK[task];
  if (section !== undefined && weir[section] === undefined) throw missing(`weir.json with the section ${section}`);
  for (const path of [...networksOf(task, paths, weir).values(), ...FILES_OF_TASK[task], ...filesNamedIn(weir)])
    if (!paths.has(path)) throw missing(path);
}

/** What a network is there for: `model` where a package has one, `detector` and `recogniser` where it reads text in pictures. */
export type NetworkRole = 'model' | 'detector' | 'recogniser';

/** The networks that the package must hold, by role: those that `weir.json` names, else one at a usual place or the only one. */
export function networksOf(task: Task, paths: ReadonlySet<string>, weir: WeirFile): ReadonlyMap<NetworkRole, string> {
  if (task !== 'image-to-text' || weir.reading === undefined)
    return new Map([['model', weir.model ?? defaultModelFile(paths) ?? MODEL_FILES[0]]]);
  return new Map([
    ['detector', weir.reading.detector],
    ['recogniser', weir.reading.recogniser],
  ]);
}

/** What else `weir.json` names. Examples may lack: they are shown, not run. */
function filesNamedIn({ recommendation, reading }: WeirFile): readonly string[] {
  return [recommendation?.users, recommendation?.items, recommendation?.seen, reading?.characters].filter((path) => path !== undefined);
}
