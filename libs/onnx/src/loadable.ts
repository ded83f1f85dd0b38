import { posix } from 'node:path';
import { AppError } from '@weir/kernel';
import type { OnnxModel, OnnxTensor, OnnxValue } from './onnx-model.ts';

/** A file of the package that the model is in. */
export interface SizedFile {
  /** `/` between parts. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** Operators that ONNX Runtime brings itself. Those of other domains come as native libraries, which are never loaded. */
const OPERATOR_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx.ml', 'com.microsoft']);
/** Holds code that was compiled for a device, or names a file that has it. */
const COMPILED_OPERATOR = 'EPContext';

/** ONNX Runtime reads a model as one Protocol Buffers message, which cannot be longer. */
export const MAX_FILE_BYTES = 2 ** 31 - 1;
/** Most that tensors may take which are written with a few bytes; a mask over 16,384 positions takes 268 MB. */
export const MAX_EXPANDED_BYTES = 536_870_912;
/** Elements along one axis of an input or output. */
const MAX_AXIS = 2 ** 31 - 1;
/** All names, and names of axes, of inputs and outputs together: everyone who looks at the model is sent them. */
const MAX_SIGNATURE_CHARACTERS = 65_536;

/**
 * Refuses a model that must not be loaded: it reaches out of its package, needs code that is not ONNX Runtime's, becomes many times as
 * large in memory as it is on disk, or cannot be called. What a model does when it runs (loops for ever, divides, allocates) cannot
 * be seen in the file: that is for the process that runs it to contain.
 *
 * @param files of the package, for external data
 * @throws model.package_invalid naming the model file and the problem
 */
export function assertLoadable(model: OnnxModel, files: readonly SizedFile[]): void {
  const invalid = (problem: string): AppError =>
    new AppError('model.package_invalid', { field: model.path, message: `${model.path} of the package ${problem}` });
  if (model.fileBytes > MAX_FILE_BYTES) throw invalid(`is larger than ${MAX_FILE_BYTES} bytes; save its weights as external data`);
  assertOperators(model, invalid);
  assertSignature(model, invalid);
  const sizes = new Map(files.map((file) => [file.path, file.sizeBytes]));
  for (const tensor of model.tensors) assertExternalData(model, tensor, sizes, invalid);
  assertExpansions(model, invalid);
}

type Invalid = (problem: string) => AppError;

function assertOperators(model: OnnxModel, invalid: Invalid): void {
  const own = new Set(model.functions.map(({ domain, name }) => JSON.stringify([domain, name])));
  for (const { domain, operator } of model.operators) {
    if (own.has(JSON.stringify([domain, operator]))) continue;
    if (!OPERATOR_DOMAINS.has(domain))
      throw invalid(`uses the operator ${quoted(operator)} of ${quoted(domain)}; those of ONNX, ai.onnx.ml and com.microsoft may be used`);
    if (operator === COMPILED_OPERATOR)
      throw invalid(`was compiled for a device (${COMPILED_OPERATOR}); publish the model that it was compiled from`);
  }
}

function assertSignature({ inputs, outputs }: OnnxModel, invalid: Invalid): void {
  if (inputs.length === 0) throw invalid('takes no input');
  for (const { name, axes } of [...inputs, ...outputs])
    if (axes?.some((axis) => typeof axis === 'number' && axis > MAX_AXIS))
      throw invalid(`has in ${quoted(name)} an axis of more than ${MAX_AXIS} elements, which cannot be sent`);
  assertNames(inputs, 'input', invalid);
  assertNames(outputs, 'output', invalid);
  for (const { name, elementType } of inputs) {
    if (elementType === null) throw invalid(`takes as ${quoted(name)} something other than a tensor`);
    if (elementType.datatype === null) throw invalid(`takes as ${quoted(name)} a tensor of ${elementType.name}, which cannot be sent`);
  }
  if (!outputs.some(({ elementType }) => elementType !== null && elementType.datatype !== null))
    throw invalid('gives no tensor of a type that can be answered');
  if (characters([...inputs, ...outputs]) > MAX_SIGNATURE_CHARACTERS)
    throw invalid(`has inputs and outputs whose names are longer than ${MAX_SIGNATURE_CHARACTERS} characters together`);
}

function assertNames(values: readonly OnnxValue[], what: string, invalid: Invalid): void {
  const seen = new Set<string>();
  for (const { name } of values) {
    if (name === '') throw invalid(`has an ${what} without a name`);
    if (seen.has(name)) throw invalid(`has two ${what}s with the name ${quoted(name)}`);
    seen.add(name);
  }
}

function characters(values: readonly OnnxValue[]): number {
  return values
    .flatMap(({ name, axes }) => [name, ...(axes ?? []).map((axis) => (typeof axis === 'string' ? axis : ' '))])
    .reduce((sum, text) => sum + text.length, 0);
}

function assertExternalData(model: OnnxModel, tensor: OnnxTensor, sizes: ReadonlyMap<string, number>, invalid: Invalid): void {
  const { storage } = tensor;
  if (storage.kind === 'inline') return;
  const name = tensor.name === '' ? 'a constant' : quoted(tensor.name);
  if (tensor.elementType.bits === null) throw invalid(`has text outside of the file (${name}), which ONNX does not know`);
  const path = packagePathOf(model.path, storage.location);
  if (path === null) throw invalid(`has external data outside of the package (${name})`);
  const sizeBytes = sizes.get(path);
  if (sizeBytes === undefined) throw invalid(`has external data in ${quoted(path)}, which the package does not have`);
  const bytes = storage.bytes ?? tensor.sizeBytes;
  // What is mostly zeros says the size of what is stored.
  if (tensor.role !== 'sparse' && bytes !== tensor.sizeBytes)
    throw invalid(`says that ${name} takes ${bytes} bytes of external data; its shape takes ${tensor.sizeBytes}`);
  if (storage.offset + bytes > sizeBytes)
    throw invalid(`says that ${name} ends at byte ${storage.offset + bytes} of ${quoted(path)}, which has ${sizeBytes}`);
}

/** Where in the package external data is; null when it is not in the model's folder or below. */
function packagePathOf(modelPath: string, location: string): string | null {
  const isPlain = !location.startsWith('/') && !location.includes('\\') && !location.split('/').includes('..');
  return isPlain ? posix.join(posix.dirname(modelPath), location) : null;
}

function assertExpansions(model: OnnxModel, invalid: Invalid): void {
  const sparse = model.tensors.filter(({ role }) => role === 'sparse');
  const constants = model.expansions.filter(({ isConstant }) => isConstant);
  const loadedBytes = [...sparse, ...constants].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (loadedBytes > MAX_EXPANDED_BYTES)
    throw invalid(
      `has sparse weights and constants that take ${loadedBytes} bytes once they are loaded; at most ${MAX_EXPANDED_BYTES} are allowed`,
    );
  for (const { operator, name, sizeBytes } of model.expansions) {
    if (sizeBytes > MAX_EXPANDED_BYTES)
      throw invalid(`makes ${quoted(name)} of ${sizeBytes} bytes by ${operator}; at most ${MAX_EXPANDED_BYTES} are allowed`);
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
