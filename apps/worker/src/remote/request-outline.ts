import { AppError } from '@weir/kernel';
import { HEADER_LENGTH_HEADER, type EncodedMessage, type MessageHeaders } from '@weir/open-inference';
import { elementsOf, membersOf, parsed, withReplaced, type Span } from './json-spans.ts';

/** Most inputs, and most outputs asked for, of one call. */
const MAX_TENSORS = 64;

/** What a request says of an input beside its elements. */
export interface InputOutline {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its elements follow the JSON as bytes. */
  readonly isBinary: boolean;
}

/** What a request of the Open Inference Protocol says beside its elements, which are not read. */
export interface RequestOutline {
  readonly inputs: readonly InputOutline[];
}

/**
 * Reads a request but for its elements, so far as whoever hands it on has to know it.
 *
 * @throws request.malformed, model.input_invalid with the field, request.too_large with more tensors than a call may hold
 */
export function outlineOf(body: Buffer, headers: MessageHeaders): RequestOutline {
  const json = jsonOf(body, headers[HEADER_LENGTH_HEADER]);
  try {
    const members = membersOf(json, { start: 0, end: json.length });
    const inputs = tensorsOf(json, members.get('inputs'), 'inputs').map(({ tensor, field }) => inputOf(json, tensor, field));
    if (inputs.length === 0) throw invalid('inputs', 'inputs must be a non-empty array of tensors, got an empty array');
    const outputs = members.get('outputs');
    if (outputs !== undefined)
      for (const { tensor, field } of tensorsOf(json, outputs, 'outputs')) assertNoSharedMemory(json, tensor.get('parameters'), field);
    return { inputs };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new AppError('request.malformed', { message: 'The body is not valid JSON, or a name in it is given twice.', cause: error });
  }
}

/** How an answer is to speak of the model, and what is counted in it. */
export interface AnswerNames {
  readonly model_name: string;
  readonly model_version: string;
  readonly usage: Readonly<Record<string, number>>;
}

/**
 * The answer of another server in Weir's terms: the public name and version of the model, and the counts in
 * `parameters.usage`. Every other byte is handed on.
 *
 * @throws model.failed when it does not have the form of the protocol
 */
export function renamedAnswer({ headers, body }: EncodedMessage, { usage, ...names }: AnswerNames): EncodedMessage {
  try {
    const json = jsonOf(body, headers[HEADER_LENGTH_HEADER]);
    const members = membersOf(json, { start: 0, end: json.length });
    const replaced: (Span & { readonly text: string })[] = [];
    const added: string[] = [];
    const set = (name: string, text: string): void => {
      const span = members.get(name);
      if (span === undefined) added.push(`${JSON.stringify(name)}:${text},`);
      else replaced.push({ ...span, text });
    };
    for (const [name, value] of Object.entries(names)) set(name, JSON.stringify(value));
    set('parameters', withUsage(json, members.get('parameters'), usage));
    const start = json.indexOf('{') + 1;
    const renamed = withReplaced(json, [...replaced, { start, end: start, text: added.join('') }]);
    if (headers[HEADER_LENGTH_HEADER] === undefined) return { headers: { 'content-type': 'application/json' }, body: renamed };
    return {
      headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH_HEADER]: String(renamed.length) },
      body: Buffer.concat([renamed, body.subarray(json.length)]),
    };
  } catch (error) {
    throw new AppError('model.failed', { cause: error });
  }
}

/** The parameters of an answer with the counts in them. */
function withUsage(json: Buffer, parameters: Span | undefined, usage: AnswerNames['usage']): string {
  const given = parameters === undefined ? undefined : parsed(json, parameters);
  return JSON.stringify({ ...(typeof given === 'object' && given !== null && !Array.isArray(given) ? given : {}), usage });
}

/** The JSON at the beginning of a body. */
function jsonOf(body: Buffer, header: string | string[] | undefined): Buffer {
  if (header === undefined) return body;
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header) || Number(header) === 0 || Number(header) > body.length)
    throw invalid(
      HEADER_LENGTH_HEADER,
      `the header Inference-Header-Content-Length must be a whole number of bytes, from 1 to the ${body.length} that the body holds`,
    );
  return body.subarray(0, Number(header));
}

function tensorsOf(json: Buffer, span: Span | undefined, field: string): { readonly tensor: Map<string, Span>; readonly field: string }[] {
  if (span === undefined || json[span.start] !== '['.charCodeAt(0)) throw invalid(field, `${field} must be an array of tensors`);
  const elements = elementsOf(json, span);
  if (elements.length > MAX_TENSORS)
    throw new AppError('request.too_large', { field, message: `a request may hold ${MAX_TENSORS} ${field}, got ${elements.length}` });
  return elements.map((element, index) => {
    if (json[element.start] !== '{'.charCodeAt(0)) throw invalid(`${field}[${index}]`, `${field}[${index}] must be a tensor object`);
    return { tensor: membersOf(json, element), field: `${field}[${index}]` };
  });
}

function inputOf(json: Buffer, tensor: Map<string, Span>, field: string): InputOutline {
  const name = valueOf(json, tensor, 'name');
  if (typeof name !== 'string' || name === '') throw invalid(`${field}.name`, `${field}.name must be a string`);
  const shape = valueOf(json, tensor, 'shape');
  if (!Array.isArray(shape) || !shape.every((size): size is number => Number.isSafeInteger(size) && Number(size) >= 0))
    throw invalid(`${field}.shape`, `input ${JSON.stringify(name.slice(0, 80))}: shape must be an array of whole numbers`);
  const parameters = assertNoSharedMemory(json, tensor.get('parameters'), field);
  return { name, shape, isBinary: parameters.has('binary_data_size') };
}

function valueOf(json: Buffer, tensor: Map<string, Span>, name: string): unknown {
  const span = tensor.get(name);
  return span === undefined ? undefined : parsed(json, span);
}

/** Regions of shared memory belong to whoever is on the other server's machine: naming one would read or write what is theirs. */
function assertNoSharedMemory(json: Buffer, parameters: Span | undefined, field: string): Map<string, Span> {
  if (parameters === undefined || json[parameters.start] !== '{'.charCodeAt(0)) return new Map();
  const members = membersOf(json, parameters);
  const name = [...members.keys()].find((key) => key.startsWith('shared_memory'));
  if (name !== undefined) throw invalid(`${field}.parameters.${name}`, `${field}: shared memory is not offered; send the data in the body`);
  return members;
}

function invalid(field: string, message: string): AppError {
  return new AppError('model.input_invalid', { field, message });
}
