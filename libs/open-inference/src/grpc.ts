import { AppError } from '@weir/kernel';
import { elementsToBytes } from './binary.ts';
import { decodeTensor } from './codec.ts';
import type { EncodedResponse } from './response.ts';
import type { BytesElement, Tensor } from './tensor.ts';
import { DATATYPES, isDatatype, type Datatype, type EncodedTensor, type InferenceRequest, type Parameters } from './types.ts';
import { invalid, quoted } from './values.ts';

// Messages of proto/grpc_service.proto as @grpc/proto-loader gives them with `PROTO_LOADER_OPTIONS`, and what they mean
// in the terms of the protocol. Elements travel on as bytes of the binary extension: the worker checks them.

/** How the messages below are to be read: names as they are, integers of 64 bits as their digits, nothing missing. */
export const PROTO_LOADER_OPTIONS = { keepCase: true, longs: String, defaults: true, arrays: true, objects: true, oneofs: true } as const;

/** A value of `parameters`: one of the fields, which `parameter_choice` names. */
export interface InferParameterMessage {
  readonly parameter_choice?: 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';
  readonly bool_param?: boolean;
  readonly int64_param?: string | number;
  readonly string_param?: string;
  readonly double_param?: number;
  readonly uint64_param?: string | number;
}

type ParametersMessage = Readonly<Record<string, InferParameterMessage>>;

export interface InferTensorContentsMessage {
  readonly bool_contents: readonly boolean[];
  readonly int_contents: readonly number[];
  readonly int64_contents: readonly string[];
  readonly uint_contents: readonly number[];
  readonly uint64_contents: readonly string[];
  readonly fp32_contents: readonly number[];
  readonly fp64_contents: readonly number[];
  readonly bytes_contents: readonly Uint8Array[];
}

export interface ModelInferRequestMessage {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ParametersMessage;
  readonly inputs: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly string[];
    readonly parameters: ParametersMessage;
    readonly contents: InferTensorContentsMessage | null;
  }[];
  readonly outputs: readonly { readonly name: string; readonly parameters: ParametersMessage }[];
  readonly raw_input_contents: readonly Uint8Array[];
}

export interface ModelInferResponseMessage {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly parameters: ParametersMessage;
  readonly outputs: readonly {
    readonly name: string;
    readonly datatype: Datatype;
    readonly shape: readonly number[];
    readonly parameters: ParametersMessage;
  }[];
  readonly raw_output_contents: readonly Uint8Array[];
}

type InputMessage = ModelInferRequestMessage['inputs'][number];

/**
 * The request that a message says; it asks for all outputs as bytes. Elements of `raw_input_contents` are not copied.
 *
 * @throws model.input_invalid naming the field whose elements are not where they should be
 */
export function requestOfGrpc(message: ModelInferRequestMessage): InferenceRequest {
  const raw = message.raw_input_contents;
  if (raw.length > 0 && raw.length !== message.inputs.length)
    throw invalid(
      'raw_input_contents',
      `raw_input_contents must hold the elements of all ${message.inputs.length} inputs or of none, got ${raw.length}`,
    );
  return {
    ...(message.id === '' ? {} : { id: message.id }),
    parameters: { ...parametersOf(message.parameters), binary_data_output: true },
    inputs: message.inputs.map((input, index) => inputOf(input, raw[index], `inputs[${index}]`)),
    ...(message.outputs.length === 0 ? {} : { outputs: message.outputs.map(outputOf) }),
  };
}

function inputOf(input: InputMessage, raw: Uint8Array | undefined, field: string): EncodedTensor {
  const { name, datatype, contents } = input;
  if (!isDatatype(datatype))
    throw invalid(`${field}.datatype`, `input ${quoted(name)}: datatype must be one of ${DATATYPES.join(', ')}, got ${quoted(datatype)}`);
  const parameters = parametersOf(input.parameters);
  for (const extension of ['shared_memory_region', 'binary_data_size'])
    if (extension in parameters)
      throw invalid(`${field}.parameters.${extension}`, `input ${quoted(name)}: ${extension} is not offered over gRPC; send the elements`);
  const tensor = { name, datatype, shape: input.shape.map(Number), ...(Object.keys(parameters).length === 0 ? {} : { parameters }) };
  if (raw === undefined) return { ...tensor, data: elementsOf(datatype, contents, `input ${quoted(name)}`, `${field}.contents`) };
  if (contents !== null && Object.values(contents).some((elements: readonly unknown[]) => elements.length > 0))
    throw invalid(`${field}.contents`, `input ${quoted(name)}: contents and raw_input_contents are given, where one of them is expected`);
  return { ...tensor, data: raw };
}

/** Elements as they travel on: those that JSON says exactly as they are, the others as bytes. */
function elementsOf(
  datatype: Datatype,
  contents: InferTensorContentsMessage | null,
  title: string,
  field: string,
): readonly unknown[] | Uint8Array {
  if (contents === null) throw invalid(field, `${title}: neither contents nor raw_input_contents are given`);
  switch (datatype) {
    case 'BOOL':
      return contents.bool_contents;
    case 'INT8':
    case 'INT16':
    case 'INT32':
      return contents.int_contents;
    case 'INT64':
      return contents.int64_contents;
    case 'UINT8':
    case 'UINT16':
    case 'UINT32':
      return contents.uint_contents;
    case 'UINT64':
      return contents.uint64_contents;
    case 'FP32':
      return bytesOf({ datatype, data: Float32Array.from(contents.fp32_contents) });
    case 'FP64':
      return bytesOf({ datatype, data: Float64Array.from(contents.fp64_contents) });
    case 'BYTES':
      return bytesOf({ datatype, data: [...contents.bytes_contents] satisfies BytesElement[] });
    case 'FP16':
      throw invalid(field, `${title}: contents have no field for FP16; send the elements in raw_input_contents`);
  }
}

/** The elements in a row; whether they fill the tensor's shape is seen by whoever decodes it. */
function bytesOf({ datatype, data }: Pick<Tensor, 'datatype' | 'data'>): Uint8Array {
  return elementsToBytes({ name: '', datatype, shape: [data.length], data });
}

function outputOf({ name, parameters }: ModelInferRequestMessage['outputs'][number]): { name: string; parameters?: Parameters } {
  const { binary_data: _, ...rest } = parametersOf(parameters);
  return Object.keys(rest).length === 0 ? { name } : { name, parameters: rest };
}

function parametersOf(message: ParametersMessage): Record<string, unknown> {
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, parameterOf(value)]));
}

function parameterOf(value: InferParameterMessage): unknown {
  switch (value.parameter_choice) {
    case 'bool_param':
      return value.bool_param;
    case 'int64_param':
      return exact(value.int64_param);
    case 'uint64_param':
      return exact(value.uint64_param);
    case 'string_param':
      return value.string_param;
    case 'double_param':
      return value.double_param;
    case undefined:
      return null;
  }
}

/** As a number where that is exact, else its digits. */
function exact(digits: string | number | undefined): unknown {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : digits;
}

/**
 * The message that says an answer, every output as bytes.
 *
 * @throws model.failed an output that came in JSON is not what its datatype says
 */
export function responseToGrpc(response: EncodedResponse): ModelInferResponseMessage {
  return {
    model_name: response.model_name,
    model_version: response.model_version ?? '',
    id: response.id ?? '',
    parameters: parametersToGrpc(response.parameters),
    outputs: response.outputs.map(({ name, datatype, shape, parameters }) => ({
      name,
      datatype,
      shape,
      parameters: parametersToGrpc(parameters),
    })),
    raw_output_contents: response.outputs.map(rawElements),
  };
}

function rawElements(output: EncodedTensor): Uint8Array {
  if (output.data instanceof Uint8Array) return output.data;
  try {
    return elementsToBytes(decodeTensor(output, 'outputs'));
  } catch (error) {
    throw new AppError('model.failed', { cause: error });
  }
}

/** What of the parameters gRPC can say: texts, numbers, truth values. */
function parametersToGrpc(parameters: Parameters | undefined): ParametersMessage {
  const said = Object.entries(parameters ?? {}).flatMap(([name, value]): [string, InferParameterMessage][] => {
    if (name === 'binary_data_size') return [];
    if (typeof value === 'boolean') return [[name, { parameter_choice: 'bool_param', bool_param: value }]];
    if (typeof value === 'string') return [[name, { parameter_choice: 'string_param', string_param: value }]];
    if (typeof value !== 'number') return [];
    return Number.isSafeInteger(value)
      ? [[name, { parameter_choice: 'int64_param', int64_param: value }]]
      : [[name, { parameter_choice: 'double_param', double_param: value }]];
  });
  return Object.fromEntries(said);
}
