import { MODEL_FILES, taskSchema, type Task } from '@weir/contracts';
import {
  MAX_AXES,
  MAX_EXPANDED_BYTES,
  MAX_FILE_BYTES,
  MAX_FUNCTION_DEPTH,
  MAX_GRAPH_DEPTH,
  MAX_NODES,
  MAX_PUBLIC_NAME_BYTES,
  MAX_TENSORS,
  MAX_VALUES,
} from '@weir/onnx';
import { PROCESSED_SIGNATURES, type TensorMetadata } from '@weir/open-inference';
import { markdownTable } from '@weir/platform/config';
import type { HostilePackage } from '@weir/testing';
import { z } from 'zod';
import { registrySettings } from '../settings.ts';
import { MAX_PACKAGE_FILES } from './model-version.ts';
import { MAX_EXAMPLE_BYTES, MAX_METADATA_BYTES, publishedWeirFileSchema } from './package-metadata.ts';
import { FILES_OF_TASK, SECTION_OF_TASK } from './version-package.ts';

// The tables of docs/model-packages.md, from the code that they describe.

/** What each field of `weir.json` means, by its path; `[]` is each of a list. */
const MEANINGS: Readonly<Record<string, string>> = {
  task: 'What the model does. Needed here or in the call that publishes.',
  model: 'The network to run, where it does not stand at a usual place.',
  displayName: 'Name for people.',
  description: 'What it does, in a few sentences.',
  licence: 'Under which licence, mostly an SPDX identifier.',
  tags: 'Words to find it by.',
  'metrics[].name': 'What was measured, such as `accuracy`.',
  'metrics[].value': 'What came out.',
  'metrics[].dataset': 'The data that it was measured on.',
  'metrics[].split': 'Which part of the data.',
  'metrics[].n': 'Items that it was measured on.',
  'examples[].input.text': 'An input to try. Each example has one of these.',
  'examples[].input.imageFile': 'A PNG, JPEG or WebP file of the package.',
  'examples[].input.audioFile': 'A WAV file of the package.',
  'examples[].input.record': 'Features by name.',
  'examples[].input.user': 'A user to recommend to.',
  'examples[].input.seed': 'A number to make a picture from.',
  'examples[].input.requestFile': 'A file with a request of the Open Inference Protocol in JSON, for raw tensors.',
  'examples[].expected.label': 'The best label of the answer.',
  'image.colour': 'What the network takes: brightness, or red, green and blue in which order. Without it red, green, blue.',
  'image.background': 'The ground that the network knows; a picture with the other one is inverted. Without it pictures stay as they are.',
  'image.layout': 'Order of the axes of its input. Without it channels first.',
  'embedding.pooling': 'How the vectors of tokens become one of the text. `1_Pooling/config.json` says the same.',
  'embedding.normalise': 'Vectors have the length 1. `modules.json` says the same.',
  'entities.aggregation':
    'How tokens become entities: `simple` joins tokens of one kind; `first` lets the first token of a word speak for all of it.',
  'tabular.features[].kind': 'A number, or one of a list of values.',
  'tabular.features[].name': 'Name of the feature in a record. Features stand in the order in which the network takes them.',
  'tabular.features[].mean': 'The network is given (value − mean) / deviation.',
  'tabular.features[].deviation': 'See `mean`.',
  'tabular.features[].minimum': 'Least value that is taken.',
  'tabular.features[].maximum': 'Greatest value that is taken.',
  'tabular.features[].default': 'Stands in when a record lacks it; without one it is required.',
  'tabular.features[].values': 'The values of a category.',
  'tabular.features[].encoding': '`index`: the position in `values`; `one-hot`: one number for each value.',
  'tabular.target.name': 'What a regression answers. Its output y means y · deviation + mean of this.',
  'tabular.target.mean': 'See `name`.',
  'tabular.target.deviation': 'See `name`.',
  'recommendation.users': 'File with a JSON array of ids; the place in it is the number that the network knows.',
  'recommendation.items': 'The same of items, each an id or `{ "id": …, "title": … }`.',
  'recommendation.seen': 'File with a JSON object from a user to the positions of items that are not to be recommended to them again.',
  'generation.latentSize': 'Numbers that the decoder takes; drawn from a normal distribution when the caller gives a seed.',
  'generation.range': 'The least and the greatest brightness of what the decoder gives.',
  'detection.threshold': 'Least score of an object, when the caller says none.',
  'detection.overlap': 'Of two boxes of one label that cover each other more than this, the better one stays.',
  'reading.detector': 'The network that finds text.',
  'reading.recogniser': 'The network that reads it.',
  'reading.characters': 'File with the characters that the recogniser knows, one a line.',
  'reading.longestEdgePixels': 'Larger pictures are made smaller before text is looked for.',
  'audio.sampleRateHz': 'Sound is taken to this rate.',
  'audio.frameSamples': 'Samples of one frame.',
  'audio.contextSamples': 'Samples of the frame before that are put in front of it.',
  'audio.sampleRateInput': 'The input that takes the sample rate as an INT64 without axes, where the network asks for it.',
  'audio.threshold': 'Least probability of speech, when the caller says none.',
  'state[].input': 'The input that takes the state of a recurrent network.',
  'state[].output': 'The output that gives the next one.',
  'state[].datatype': 'What its elements are.',
  'state[].shape': 'Its shape at the start, when every number is 0; -1 stands for the batch.',
  'runtime.instances': 'Threads that hold the model, each with its own weights.',
  'runtime.batching':
    '`false`: every call runs by itself. `true`: calls share runs although the answer of one may move a little with its neighbours’. Without it the worker finds out.',
  'runtime.maxBatchSize': 'Most items of one run.',
  'runtime.runLimitMs': 'Longest run; at most what the operator allows.',
  'runtime.accelerator': 'What a worker has to offer for it to be placed there.',
  'runtime.memoryBytes': 'Memory that the loaded model needs, where it is more than its files tell.',
};

/** The part of JSON Schema that `weir.json` uses. */
type Schema = z.core.JSONSchema.BaseSchema;

/** `weir.json` field by field. */
export function fieldsTable(): string {
  const rows = fieldsOf('', z.toJSONSchema(publishedWeirFileSchema, { io: 'input' }), false);
  const unknown = Object.keys(MEANINGS).filter((path) => !rows.some((row) => row.path === path));
  if (unknown.length > 0) throw new Error(`weir.json has no ${unknown.join(', ')}`);
  return markdownTable([
    ['field', 'allowed', 'default', 'meaning'],
    ...rows.map(({ path, schema, isRequired }) => [`\`${path}\``, allowedBy(schema), defaultOf(schema, isRequired), meaningOf(path)]),
  ]);
}

interface Field {
  readonly path: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

function meaningOf(path: string): string {
  const meaning = MEANINGS[path];
  if (meaning === undefined) throw new Error(`say in MEANINGS what ${path} of weir.json means`);
  return meaning;
}

/** The leaves of a schema; the kinds of one thing are one list of fields. */
function fieldsOf(path: string, schema: Schema, isRequired: boolean): Field[] {
  if (schema.properties !== undefined)
    return Object.entries(schema.properties).flatMap(([name, property]) =>
      fieldsOf(path === '' ? name : `${path}.${name}`, schemaOf(property), schema.required?.includes(name) ?? false),
    );
  const items = schema.items === undefined || Array.isArray(schema.items) ? null : schemaOf(schema.items);
  const kinds = items?.oneOf?.map(schemaOf) ?? (items?.properties === undefined ? [] : [items]);
  if (kinds.length === 0) return [{ path, schema, isRequired }];
  const fields = new Map<string, Field>();
  for (const kind of kinds)
    for (const field of fieldsOf(`${path}[]`, kind, false)) fields.set(field.path, merged(fields.get(field.path), field));
  return [...fields.values()];
}

function schemaOf(schema: z.core.JSONSchema._JSONSchema): Schema {
  return typeof schema === 'boolean' ? {} : schema;
}

/** A field that several kinds have: any of what they allow. */
function merged(one: Field | undefined, other: Field): Field {
  if (one === undefined) return other;
  const alternatives = [one.schema, other.schema].map(allowedBy);
  return alternatives[0] === alternatives[1] ? other : { ...other, schema: { anyOf: [one.schema, other.schema] } };
}

const PATH_PATTERN = String.raw`^(?!\/)(?!.*\.\.)[\w.\-/]{1,200}$`;

function allowedBy(schema: Schema): string {
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map((each) => allowedBy(schemaOf(each))))].join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  switch (schema.type) {
    case 'boolean':
      return '`true`, `false`';
    case 'integer':
    case 'number':
      return `${schema.type === 'integer' ? 'whole number' : 'number'}${boundsOf(schema)}`;
    case 'array':
      return listOf(schema);
    case 'object':
      return 'JSON object';
    case 'string':
      if (schema.pattern === PATH_PATTERN) return 'path in the package';
      return schema.maxLength === undefined ? `text like \`${schema.pattern}\`` : `text, up to ${schema.maxLength} characters`;
    default:
      throw new Error(`a kind of field that the table cannot show: ${JSON.stringify(schema)}`);
  }
}

function boundsOf({ minimum, maximum, exclusiveMinimum }: Schema): string {
  const most = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? null : maximum;
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}`;
  if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) return most === null ? `, ${minimum} or more` : `, ${minimum} to ${most}`;
  return most === null ? '' : `, at most ${most}`;
}

function listOf({ prefixItems, items, minItems = 0, maxItems }: Schema): string {
  if (prefixItems !== undefined) return `list of ${prefixItems.length}: ${prefixItems.map((item) => allowedBy(schemaOf(item))).join(', ')}`;
  const item = items === undefined || Array.isArray(items) ? {} : schemaOf(items);
  return `list of ${minItems} to ${maxItems}: ${allowedBy(item)}`;
}

function defaultOf(schema: Schema, isRequired: boolean): string {
  if (isRequired) return 'must be set';
  return schema.default === undefined ? '' : `\`${JSON.stringify(schema.default).replaceAll('"', '')}\``;
}

/** What each task needs beside the network, takes and gives. */
export function tasksTable(): string {
  const rows = taskSchema.options.map((task) => [`\`${task}\``, needsOf(task), inputsOf(task), outputsOf(task)]);
  return markdownTable([['task', 'needs beside the network', 'takes one of', 'gives'], ...rows]);
}

function needsOf(task: Task): string {
  const section = SECTION_OF_TASK[task];
  return [
    ...FILES_OF_TASK[task].map((path) => `\`${path}\``),
    ...(section === undefined ? [] : [`\`weir.json\` with \`${section}\``]),
  ].join(', ');
}

function inputsOf(task: Task): string {
  const processed = PROCESSED_SIGNATURES[task];
  return processed === undefined ? "the network's inputs" : [...processed.inputs.map(tensor), "the network's inputs"].join(', ');
}

function outputsOf(task: Task): string {
  return PROCESSED_SIGNATURES[task]?.outputs.map(tensor).join(', ') ?? "the network's outputs";
}

function tensor({ name, datatype, shape }: TensorMetadata): string {
  return `\`${name}\` ${datatype} [${shape.join(', ')}]`;
}

/** Where the network may stand. */
export function modelFilesList(): string {
  return MODEL_FILES.map((path, index) => `${index + 1}. \`${path}\``).join('\n');
}

export function limitsTable(): string {
  const maxArtifactBytes = registrySettings.maxArtifactBytes.schema.parse(undefined);
  return markdownTable([
    ['what', 'most'],
    ['files of a package', count(MAX_PACKAGE_FILES)],
    ['a file', `${bytes(maxArtifactBytes)} (\`${registrySettings.maxArtifactBytes.env}\`)`],
    ['`weir.json`, `config.json`', bytes(MAX_METADATA_BYTES)],
    ['an example file that is shown', bytes(MAX_EXAMPLE_BYTES)],
    ['the file of a network, without its external data', `less than ${bytes(MAX_FILE_BYTES + 1)}`],
    ['nodes of a network, with its functions put in place', count(MAX_NODES)],
    ['weights and constants', count(MAX_TENSORS)],
    ['inputs, and outputs, of a graph', count(MAX_VALUES)],
    ['axes of a tensor', count(MAX_AXES)],
    ['name of an input, output or axis', bytes(MAX_PUBLIC_NAME_BYTES)],
    ['graphs in graphs (branches, bodies of loops)', count(MAX_GRAPH_DEPTH)],
    ['functions that call functions', count(MAX_FUNCTION_DEPTH)],
    ['sparse weights and constants that are written with few bytes, once they are loaded', bytes(MAX_EXPANDED_BYTES)],
  ]);
}

function count(number: number): string {
  return number.toLocaleString('en');
}

function bytes(number: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let [size, unit] = [number, 0];
  while (size >= 1_024 && size % 1_024 === 0 && unit < units.length - 1) [size, unit] = [size / 1_024, unit + 1];
  return `${size} ${units[unit]}`;
}

const OUTCOMES: Readonly<Record<HostilePackage['expect'], string>> = {
  'refused-at-publish': 'refused when it is published',
  'refused-at-load': 'refused when it is loaded',
  'contained-at-load': 'contained when it is loaded',
  'contained-at-run': 'contained when it runs',
  served: 'served',
};

/** What becomes of packages that mean harm, and what ONNX Runtime alone does with them. */
export function hostileTable(packages: readonly HostilePackage[]): string {
  const order = Object.keys(OUTCOMES);
  const sorted = [...packages].sort((one, other) => order.indexOf(one.expect) - order.indexOf(other.expect));
  return markdownTable([
    ['package', 'Weir', 'ONNX Runtime alone'],
    ...sorted.map(({ what, expect, runtime }) => [what, OUTCOMES[expect], runtime]),
  ]);
}
