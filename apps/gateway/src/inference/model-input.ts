import type { Task } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import {
  AUDIO_INPUT,
  decodeTensor,
  elementsToBytes,
  encodeRequest,
  IMAGE_INPUT,
  LATENT_INPUT,
  parseInferenceRequest,
  PROCESSED_SIGNATURES,
  RECORD_INPUT,
  SEED_INPUT,
  TEXT_INPUT,
  typeName,
  USER_INPUT,
  type EncodedMessage,
  type EncodedTensor,
} from '@weir/open-inference';
import type { InferOptions, ModelInput, SequenceInput, TensorInput } from './model-input.types.ts';

/** One input of a call with what is said about it. */
export interface TypedCall {
  readonly input: ModelInput;
  readonly options?: InferOptions | null | undefined;
  readonly sequence?: SequenceInput | null | undefined;
}

/** Where the parts of a call stand in the mutation's arguments, for errors. */
export interface CallPlace {
  readonly input: string;
  readonly options: string;
  readonly sequence: string;
}

/** One item of an input, and where it stands. */
interface Item {
  readonly value: unknown;
  readonly field: string;
}

/** A field of `ModelInput` whose items a worker prepares. */
interface ProcessedField {
  /** Name of the input that carries them to the worker. */
  readonly tensor: string;
  readonly isList: boolean;
  /** What follows an item in the name of the field that is wrong with it. */
  readonly suffix: string;
  /** @throws request.invalid, model.image_invalid or model.audio_invalid naming the item */
  readonly encode: (items: readonly Item[]) => Pick<EncodedTensor, 'shape' | 'datatype' | 'data'>;
}

type FieldName = Exclude<keyof ModelInput, 'tensors'>;

const one = (tensor: string, encode: ProcessedField['encode'], suffix = ''): ProcessedField => ({ tensor, encode, suffix, isList: false });
const list = (tensor: string, encode: ProcessedField['encode'], suffix = ''): ProcessedField => ({ tensor, encode, suffix, isList: true });

const PROCESSED_FIELDS: Readonly<Record<FieldName, ProcessedField>> = {
  text: one(TEXT_INPUT, texts),
  texts: list(TEXT_INPUT, texts),
  image: one(IMAGE_INPUT, files('model.image_invalid'), '.base64'),
  images: list(IMAGE_INPUT, files('model.image_invalid'), '.base64'),
  audio: one(AUDIO_INPUT, files('model.audio_invalid'), '.base64'),
  record: one(RECORD_INPUT, records),
  records: list(RECORD_INPUT, records),
  user: one(USER_INPUT, texts),
  users: list(USER_INPUT, texts),
  seed: one(SEED_INPUT, seeds),
  seeds: list(SEED_INPUT, seeds),
  latent: one(LATENT_INPUT, latents),
  latents: list(LATENT_INPUT, latents),
};
const FIELD_NAMES = Object.keys(PROCESSED_FIELDS) as FieldName[];

/** The parameters of a request that options stand for. */
const OPTION_PARAMETERS = { topK: 'top_k', threshold: 'threshold' } as const satisfies Record<keyof InferOptions, string>;
const SEQUENCE_PARAMETERS = { id: 'sequence_id', start: 'sequence_start', end: 'sequence_end' } as const satisfies Record<
  keyof SequenceInput,
  string
>;
const MAX_SEQUENCE_ID_LENGTH = 128;

/** The one field of an input that is there: which it is of those that a worker prepares, or raw tensors. */
export function fieldOf(input: ModelInput): FieldName | 'tensors' {
  return FIELD_NAMES.find((name) => input[name] !== undefined && input[name] !== null) ?? 'tensors';
}

/** How many items an input holds, where a worker prepares them. */
export function itemsOf(input: ModelInput): readonly unknown[] {
  const name = fieldOf(input);
  if (name === 'tensors') return [];
  const value = input[name];
  return PROCESSED_FIELDS[name].isList && Array.isArray(value) ? value : [value];
}

/** Was a list of items sent, so that a list is answered? */
export function isList(input: ModelInput): boolean {
  const name = fieldOf(input);
  return name !== 'tensors' && PROCESSED_FIELDS[name].isList;
}

/**
 * The Open Inference Protocol request that says the same as a typed call. Pictures, sound and numbers of tensors go as
 * bytes, and the answer is asked for in bytes.
 *
 * @throws AppError naming the field in the mutation's arguments, what is expected there, and what came
 */
export function requestOf(call: TypedCall, task: Task, place: CallPlace): EncodedMessage {
  const name = fieldOf(call.input);
  return encodeRequest({
    parameters: { ...parametersOf(call, name, task, place), binary_data_output: true },
    inputs: name === 'tensors' ? rawTensors(call.input.tensors ?? [], place) : [processed(call.input, name, task, place)],
  });
}

function processed(input: ModelInput, name: FieldName, task: Task, place: CallPlace): EncodedTensor {
  const { tensor, isList, suffix, encode } = PROCESSED_FIELDS[name];
  const field = `${place.input}.${name}`;
  const taken = PROCESSED_SIGNATURES[task]?.inputs.map((accepted) => accepted.name) ?? [];
  if (!taken.includes(tensor)) {
    const names = [...FIELD_NAMES.filter((candidate) => taken.includes(PROCESSED_FIELDS[candidate].tensor)), 'tensors'];
    throw new AppError('model.input_invalid', {
      field,
      message: `${field}: a model for ${task} takes ${names.join(' or ')}, got ${name}.`,
    });
  }
  const value = input[name];
  if (!isList) return { name: tensor, ...encode([{ value, field: field + suffix }]) };
  const values = Array.isArray(value) ? (value as readonly unknown[]) : [];
  if (values.length === 0)
    throw new AppError('request.invalid', { field, message: `${field}: must hold at least one item, got an empty list.` });
  return { name: tensor, ...encode(values.map((item, index) => ({ value: item, field: `${field}[${index}]${suffix}` }))) };
}

function invalid(field: string, problem: string): AppError {
  return new AppError('request.invalid', { field, message: `${field}: ${problem}.` });
}

function texts(items: readonly Item[]): Pick<EncodedTensor, 'shape' | 'datatype' | 'data'> {
  return { shape: [items.length], datatype: 'BYTES', data: items.map(({ value }) => value) };
}

/** Files in base64, as the bytes that they are. */
function files(code: 'model.image_invalid' | 'model.audio_invalid'): ProcessedField['encode'] {
  return (items) => {
    const elements = items.map(({ value, field }) => {
      const base64 = (value as { readonly base64: string }).base64;
      const bytes = Buffer.from(base64, 'base64');
      // Node.js passes over what is not base64: then fewer bytes come out than the length says.
      if (bytes.length === 0 || bytes.length !== decodedLength(base64))
        throw new AppError(code, {
          field,
          message: `${field}: must be a file in base64, got a text of ${base64.length} characters that is none.`,
        });
      return bytes;
    });
    const tensor = { shape: [elements.length], datatype: 'BYTES' } as const;
    return { ...tensor, data: elementsToBytes({ name: '', ...tensor, data: elements }) };
  };
}

function decodedLength(base64: string): number {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  const characters = base64.length - padding;
  return characters % 4 === 1 ? -1 : Math.floor((characters * 3) / 4);
}

function records(items: readonly Item[]): Pick<EncodedTensor, 'shape' | 'datatype' | 'data'> {
  const data = items.map(({ value, field }) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(field, `must be a JSON object from features to values, got ${typeName(value)}`);
    for (const [feature, given] of Object.entries(value)) {
      if (typeof given === 'object' && given !== null)
        throw invalid(`${field}.${shortened(feature)}`, `must be a number or a text, got ${typeName(given)}`);
    }
    return JSON.stringify(value);
  });
  return { shape: [data.length], datatype: 'BYTES', data };
}

function seeds(items: readonly Item[]): Pick<EncodedTensor, 'shape' | 'datatype' | 'data'> {
  for (const { value, field } of items) {
    if (typeof value !== 'number' || value < 0) throw invalid(field, `must be a whole number from 0 to 2147483647, got ${String(value)}`);
  }
  return { shape: [items.length], datatype: 'INT64', data: items.map(({ value }) => value) };
}

const MAX_FP32 = 3.402_823_466_385_288_6e38;

function latents(items: readonly Item[]): Pick<EncodedTensor, 'shape' | 'datatype' | 'data'> {
  const vectors = items.map(({ value, field }) => ({ field, numbers: Array.isArray(value) ? (value as readonly number[]) : [] }));
  const size = vectors[0]?.numbers.length ?? 0;
  const data = vectors.flatMap(({ field, numbers }) => {
    if (numbers.length === 0 || numbers.length !== size)
      throw invalid(field, size === 0 ? 'must hold numbers, got none' : `must hold ${size} numbers like the first, got ${numbers.length}`);
    const tooLarge = numbers.findIndex((number) => Math.abs(number) > MAX_FP32);
    if (tooLarge !== -1)
      throw invalid(`${field}[${tooLarge}]`, `must be a number from -${MAX_FP32} to ${MAX_FP32}, got ${numbers[tooLarge]}`);
    return numbers;
  });
  return { shape: [vectors.length, size], datatype: 'FP32', data };
}

/** Raw tensors, every element checked against its datatype; numbers as bytes. */
function rawTensors(tensors: readonly TensorInput[], place: CallPlace): EncodedTensor[] {
  try {
    const { inputs } = parseInferenceRequest({
      inputs: tensors.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, data })),
    });
    return inputs.map((input, index) => {
      const tensor = decodeTensor(input, `inputs[${index}]`);
      const { name, shape, datatype, data } = tensor;
      // Texts came from JSON and are text; in JSON they need no length each.
      return { name, shape, datatype, data: datatype === 'BYTES' && Array.isArray(data) ? data : elementsToBytes(tensor) };
    });
  } catch (error) {
    throw inArguments(error, { input: { tensors: [...tensors] } }, place);
  }
}

function parametersOf(
  { options, sequence }: TypedCall,
  name: FieldName | 'tensors',
  task: Task,
  place: CallPlace,
): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  const known = PROCESSED_SIGNATURES[task]?.parameters ?? [];
  for (const option of Object.keys(OPTION_PARAMETERS) as (keyof InferOptions)[]) {
    const value = options?.[option];
    if (value === undefined || value === null) continue;
    const parameter = OPTION_PARAMETERS[option];
    if (name === 'tensors' || !known.includes(parameter))
      throw invalid(`${place.options}.${option}`, `a model for ${task} has no such choice${name === 'tensors' ? ' for raw tensors' : ''}`);
    parameters[parameter] = value;
  }
  if (sequence === undefined || sequence === null) return parameters;
  if (name !== 'tensors' && !known.includes(SEQUENCE_PARAMETERS.id))
    throw invalid(place.sequence, `a model for ${task} keeps no state between calls`);
  if (sequence.id === '' || sequence.id.length > MAX_SEQUENCE_ID_LENGTH)
    throw invalid(`${place.sequence}.id`, `must be 1 to ${MAX_SEQUENCE_ID_LENGTH} characters long, got ${sequence.id.length}`);
  parameters[SEQUENCE_PARAMETERS.id] = sequence.id;
  parameters[SEQUENCE_PARAMETERS.start] = sequence.start === true;
  parameters[SEQUENCE_PARAMETERS.end] = sequence.end === true;
  return parameters;
}

const WORKER_FIELD = /^inputs(?:\[(\d+)\](.*))?$/s;
const ELEMENT = /^\.data\[(\d+)\](.*)$/s;

/** The same error with its field, and its message, in the terms of the mutation's arguments instead of the worker's request. */
export function inArguments<E>(error: E, call: TypedCall, place: CallPlace): E | AppError {
  if (!(error instanceof AppError) || error.field === undefined) return error;
  const field = argumentOf(error.field, call, place);
  if (field === error.field) return error;
  const { code, message, retryAfterMs, cause } = error;
  return new AppError(code, { field, message: message.replaceAll(error.field, field), retryAfterMs, cause });
}

function argumentOf(workerField: string, { input }: TypedCall, place: CallPlace): string {
  for (const [option, parameter] of Object.entries(OPTION_PARAMETERS))
    if (workerField === `parameters.${parameter}`) return `${place.options}.${option}`;
  for (const [part, parameter] of Object.entries(SEQUENCE_PARAMETERS))
    if (workerField === `parameters.${parameter}`) return `${place.sequence}.${part}`;
  const match = WORKER_FIELD.exec(workerField);
  if (match === null) return workerField;
  const name = fieldOf(input);
  const field = `${place.input}.${name}`;
  const [, tensor, rest = ''] = match;
  if (name === 'tensors') return tensor === undefined ? field : `${field}[${tensor}]${rest}`;
  const { isList, suffix } = PROCESSED_FIELDS[name];
  const [, element, inside = ''] = ELEMENT.exec(rest) ?? [];
  if (element === undefined) return field;
  if (name === 'latent' || name === 'latents') {
    const size = (name === 'latents' ? input.latents?.[0]?.length : undefined) ?? Infinity;
    const index = Number(element);
    return name === 'latent' ? `${field}[${index}]` : `${field}[${Math.floor(index / size)}][${index % size}]`;
  }
  return `${field}${isList ? `[${element}]` : ''}${suffix}${inside}`;
}

/** A caller's own name in a field: short. */
function shortened(name: string): string {
  return name.length > 80 ? `${name.slice(0, 80)}…` : name;
}
