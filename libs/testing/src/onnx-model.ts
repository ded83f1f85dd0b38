import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Element types by the number that ONNX files have for them (`TensorProto.DataType`). */
const ELEMENT_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  uint4: 21,
  int4: 22,
} as const;
export type OnnxElementType = keyof typeof ELEMENT_TYPES;

/** An input or output of a graph. */
export interface OnnxValue {
  readonly name: string;
  /** float32 when it is not given; a number is written as it is, also one that ONNX does not have. */
  readonly type?: OnnxElementType | number;
  /** A number is fixed, a name is free, null is free and has no name. Without dims the number of axes is open. */
  readonly dims?: readonly (number | string | null)[];
}

/** Where a tensor's bytes are when they are not in the model file; each entry is written as it stands here. */
export interface OnnxExternalData {
  readonly location: string;
  readonly offset?: number | string;
  readonly length?: number | string;
}

/** Numbers that belong to the model. `dims` may lie about the data, which is what some specs are after. */
export interface OnnxTensor {
  /** Needed for initialisers only. */
  readonly name?: string;
  readonly type?: OnnxElementType;
  readonly dims: readonly (number | bigint)[];
  /** Bytes as they are; numbers and bigints are written in the tensor's type, texts for `string`. */
  readonly data?: Uint8Array | readonly number[] | readonly bigint[] | readonly string[];
  readonly external?: OnnxExternalData;
}

/** Mostly zeros: `values` stand at `indices`, and the whole has `dims`. */
export interface OnnxSparseTensor {
  readonly values: OnnxTensor;
  readonly indices: OnnxTensor;
  readonly dims: readonly (number | bigint)[];
}

export type OnnxAttribute =
  | { readonly int: number | bigint }
  | { readonly ints: readonly (number | bigint)[] }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly tensor: OnnxTensor }
  | { readonly graph: OnnxGraph };

export interface OnnxNode {
  readonly operator: string;
  readonly domain?: string;
  readonly inputs?: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxGraph {
  readonly inputs?: readonly OnnxValue[];
  readonly outputs?: readonly OnnxValue[];
  readonly nodes?: readonly OnnxNode[];
  readonly initialisers?: readonly OnnxTensor[];
  readonly sparseInitialisers?: readonly OnnxSparseTensor[];
}

/** An operator that the model itself defines. */
export interface OnnxFunction {
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly OnnxNode[];
  /** By domain, what its nodes mean; opset 17 of ONNX itself when they are not given. */
  readonly opsets?: Readonly<Record<string, number>>;
}

export interface OnnxModel extends OnnxGraph {
  /** 8 when it is not given: every ONNX Runtime of the last years reads it. */
  readonly irVersion?: number;
  /** By domain; opset 17 of ONNX itself when they are not given. */
  readonly opsets?: Readonly<Record<string, number>>;
  readonly functions?: readonly OnnxFunction[];
  readonly producer?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

const IR_VERSION = 8;
const OPSET_VERSION = 17;

/** An ONNX file, written as it is told: nothing is checked, so that files can be made that nobody should load. */
export function onnxModel(model: OnnxModel): Buffer {
  return bytes((file) => {
    file.tag(1, WireType.Varint).int64(model.irVersion ?? IR_VERSION);
    text(file, 2, model.producer ?? 'weir-testing');
    message(file, 7, (graph) => writeGraph(graph, model));
    for (const [domain, version] of Object.entries(model.opsets ?? { '': OPSET_VERSION }))
      message(file, 8, (opset) => writeOpset(opset, domain, version));
    for (const [key, value] of Object.entries(model.metadata ?? {})) message(file, 14, (entry) => writeEntry(entry, key, value));
    for (const each of model.functions ?? []) message(file, 25, (body) => writeFunction(body, each));
  });
}

function writeGraph(writer: BinaryWriter, graph: OnnxGraph): void {
  for (const node of graph.nodes ?? []) message(writer, 1, (body) => writeNode(body, node));
  text(writer, 2, 'graph');
  for (const tensor of graph.initialisers ?? []) message(writer, 5, (body) => writeTensor(body, tensor));
  for (const value of graph.inputs ?? []) message(writer, 11, (body) => writeValue(body, value));
  for (const value of graph.outputs ?? []) message(writer, 12, (body) => writeValue(body, value));
  for (const sparse of graph.sparseInitialisers ?? []) message(writer, 15, (body) => writeSparseTensor(body, sparse));
}

function writeNode(writer: BinaryWriter, node: OnnxNode): void {
  for (const input of node.inputs ?? []) text(writer, 1, input);
  for (const output of node.outputs) text(writer, 2, output);
  text(writer, 4, node.operator);
  for (const [name, attribute] of Object.entries(node.attributes ?? {}))
    message(writer, 5, (body) => {
      text(body, 1, name);
      writeAttribute(body, attribute);
    });
  text(writer, 7, node.domain ?? '');
}

function writeAttribute(writer: BinaryWriter, attribute: OnnxAttribute): void {
  const type = (number: number) => writer.tag(20, WireType.Varint).int32(number);
  if ('float' in attribute) {
    writer.tag(2, WireType.Bit32).float(attribute.float);
    type(1);
  } else if ('int' in attribute) {
    writer.tag(3, WireType.Varint).int64(attribute.int);
    type(2);
  } else if ('string' in attribute) {
    text(writer, 4, attribute.string);
    type(3);
  } else if ('tensor' in attribute) {
    message(writer, 5, (body) => writeTensor(body, attribute.tensor));
    type(4);
  } else if ('graph' in attribute) {
    message(writer, 6, (body) => writeGraph(body, attribute.graph));
    type(5);
  } else {
    for (const value of attribute.ints) writer.tag(8, WireType.Varint).int64(value);
    type(7);
  }
}

function writeTensor(writer: BinaryWriter, { name, type = 'float32', dims, data, external }: OnnxTensor): void {
  for (const size of dims) writer.tag(1, WireType.Varint).int64(size);
  writer.tag(2, WireType.Varint).int32(ELEMENT_TYPES[type]);
  if (name !== undefined) text(writer, 8, name);
  if (data instanceof Uint8Array) writer.tag(9, WireType.LengthDelimited).bytes(data);
  else if (type === 'string') for (const element of data ?? []) text(writer, 6, String(element));
  else if (data !== undefined) writer.tag(9, WireType.LengthDelimited).bytes(rawData(type, data));
  if (external === undefined) return;
  for (const [key, value] of Object.entries(external)) message(writer, 13, (entry) => writeEntry(entry, key, String(value)));
  writer.tag(14, WireType.Varint).int32(1);
}

function writeSparseTensor(writer: BinaryWriter, { values, indices, dims }: OnnxSparseTensor): void {
  message(writer, 1, (body) => writeTensor(body, values));
  message(writer, 2, (body) => writeTensor(body, indices));
  for (const size of dims) writer.tag(3, WireType.Varint).int64(size);
}

function writeValue(writer: BinaryWriter, { name, type = 'float32', dims }: OnnxValue): void {
  text(writer, 1, name);
  message(writer, 2, (typeProto) =>
    message(typeProto, 1, (tensorType) => {
      tensorType.tag(1, WireType.Varint).int32(typeof type === 'number' ? type : ELEMENT_TYPES[type]);
      if (dims !== undefined)
        message(tensorType, 2, (shape) => dims.forEach((size) => message(shape, 1, (dim) => writeDimension(dim, size))));
    }),
  );
}

function writeDimension(writer: BinaryWriter, size: number | string | null): void {
  if (typeof size === 'number') writer.tag(1, WireType.Varint).int64(size);
  if (typeof size === 'string') text(writer, 2, size);
}

function writeFunction(writer: BinaryWriter, body: OnnxFunction): void {
  text(writer, 1, body.name);
  for (const input of body.inputs) text(writer, 4, input);
  for (const output of body.outputs) text(writer, 5, output);
  for (const node of body.nodes) message(writer, 7, (each) => writeNode(each, node));
  for (const [domain, version] of Object.entries(body.opsets ?? { '': OPSET_VERSION }))
    message(writer, 9, (opset) => writeOpset(opset, domain, version));
  text(writer, 10, body.domain);
}

function writeOpset(writer: BinaryWriter, domain: string, version: number): void {
  text(writer, 1, domain);
  writer.tag(2, WireType.Varint).int64(version);
}

function writeEntry(writer: BinaryWriter, key: string, value: string): void {
  text(writer, 1, key);
  text(writer, 2, value);
}

/** Numbers in a tensor's type, little-endian as in every file. */
function rawData(type: OnnxElementType, data: readonly (number | bigint | string)[]): Uint8Array {
  switch (type) {
    case 'float32':
      return new Uint8Array(Float32Array.from(data, Number).buffer);
    case 'float64':
      return new Uint8Array(Float64Array.from(data, Number).buffer);
    case 'int8':
    case 'uint8':
    case 'bool':
      return Uint8Array.from(data, Number);
    case 'int32':
      return new Uint8Array(Int32Array.from(data, Number).buffer);
    case 'int64':
      return new Uint8Array(BigInt64Array.from(data, BigInt).buffer);
    default:
      throw new Error(`give a tensor of ${type} its bytes`);
  }
}

function bytes(write: (writer: BinaryWriter) => void): Buffer {
  const writer = new BinaryWriter();
  write(writer);
  const content = writer.finish();
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
}

function message(writer: BinaryWriter, field: number, write: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

function text(writer: BinaryWriter, field: number, content: string): void {
  writer.tag(field, WireType.LengthDelimited).string(content);
}
