import { defaultModelFile, MODEL_FILES, weirFileSchema, type PackageFile, type Task, type WeirFile } from '@weir/contracts';
import { readImagePreparation, type ImagePreparation } from './image-preparation.ts';
import { labelsOf, readModelConfig } from './model-config.ts';
import type { NetworkSpec, PaddingRule } from './network.ts';
import { invalidFile, pathOf, readJson, type PackageFiles } from './package-files.ts';
import { readTextPreparation, type TextPreparation } from './text-preparation.ts';

/** What a worker needs to know of a package to run it. What one task alone needs, the task reads itself from `files`. */
export interface ModelPackage extends PackageFiles {
  readonly task: Task;
  /** Folder of the package. */
  readonly directory: string;
  /** `weir.json`; empty where the package has none. */
  readonly weir: WeirFile;
  /** Name of each class, in the model's order; empty when the package names none. */
  readonly labels: readonly string[];
  /** One class wins (softmax), or each stands for itself (sigmoid). */
  readonly isMultiLabel: boolean;
  /** By role: `model`, or `detector` and `recogniser` where `weir.json` has `reading`. */
  readonly networks: ReadonlyMap<string, NetworkSpec>;
  /** Of the tasks that look at a picture as a whole; null for others. */
  readonly image: ImagePreparation | null;
  /** Of the tasks that read text; null for others. */
  readonly text: TextPreparation | null;
}

/** Role of the network of a package that has one. */
export const MODEL = 'model';

const IMAGE_TASKS: ReadonlySet<Task> = new Set<Task>(['image-classification', 'object-detection']);
const TEXT_TASKS: ReadonlySet<Task> = new Set<Task>(['text-classification', 'token-classification', 'feature-extraction']);

/**
 * Reads the settings of a package in Hugging Face layout.
 *
 * @param files of the package, as the registry lists them
 * @param task of the placement: `weir.json` need not name one
 * @throws model.package_invalid naming the file and field that is wrong or missing
 */
export async function readModelPackage(directory: string, files: readonly PackageFile[], task: Task): Promise<ModelPackage> {
  const packageFiles: PackageFiles = { directory, files: new Map(files.map((file) => [file.path, file])) };
  const weir = (await readJson(packageFiles, 'weir.json', weirFileSchema)) ?? {};
  const config = await readModelConfig(packageFiles);
  const text = TEXT_TASKS.has(task) ? await readTextPreparation(packageFiles, config) : null;
  return {
    ...packageFiles,
    task,
    weir,
    labels: labelsOf(config),
    isMultiLabel: config.problem_type === 'multi_label_classification',
    networks: networksOf(packageFiles, weir, task, text === null ? null : textPadding(text)),
    image: IMAGE_TASKS.has(task) ? await readImagePreparation(packageFiles, weir, task) : null,
    text,
  };
}

function networksOf(files: PackageFiles, weir: WeirFile, task: Task, padding: PaddingRule | null): ReadonlyMap<string, NetworkSpec> {
  if (task === 'image-to-text') {
    if (weir.reading === undefined) throw invalidFile('weir.json', 'needs the section "reading" for the task image-to-text');
    const { detector, recogniser } = weir.reading;
    return new Map([
      ['detector', { file: pathOf(files, detector), padding: null }],
      ['recogniser', { file: pathOf(files, recogniser), padding: LINE_PADDING }],
    ]);
  }
  return new Map([[MODEL, { file: pathOf(files, weir.model ?? modelFileOf(files)), padding }]]);
}

/** The network where `weir.json` does not name it. */
function modelFileOf({ files }: PackageFiles): string {
  const file = defaultModelFile(files.keys());
  if (file !== null) return file;
  const networks = [...files.keys()].filter((path) => path.endsWith('.onnx'));
  if (networks.length === 0) throw invalidFile(MODEL_FILES[0], 'is missing');
  throw invalidFile('weir.json', `must say in "model" which of ${networks.sort().join(', ')} is to be run`);
}

/** Lines of text in pictures are filled up to the right with grey. What is read there is blank. */
const LINE_PADDING: PaddingRule = { inputs: new Map([['x', { axis: 3, fill: 0 }]]), mask: null, outputs: 'uncut' };

/** Texts are padded at their end, where the mask is 0. */
function textPadding({ padTokenId }: TextPreparation): PaddingRule {
  return {
    inputs: new Map([
      ['input_ids', { axis: 1, fill: padTokenId }],
      ['attention_mask', { axis: 1, fill: 0 }],
      ['token_type_ids', { axis: 1, fill: 0 }],
      ['position_ids', { axis: 1, fill: 0 }],
    ]),
    mask: 'attention_mask',
    // [texts, tokens, numbers]; what classifies or embeds a whole text is [texts, numbers].
    outputs: { rank: 3, axis: 1 },
  };
}
