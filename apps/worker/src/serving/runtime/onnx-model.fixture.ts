import type { Datatype } from '@weir/open-inference';

/** Numbers of element types in ONNX files (`TensorProto.DataType`). */
const ELEMENT_TYPE: Readonly<Record<Datatype, number>> = {
  FP32: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  BYTES: 8,
  BOOL: 9,
  FP16: 10,
  FP64: 11,
  UINT32: 12,
  UINT64: 13,
};

/** Versions that every ONNX Runtime of the last years reads. */
const IR_VERSION = 8;
const OPSET_VERSION = 17;

/**
 * An ONNX file with one operation: `y = operation(x, …)`, where each operand is the input `x [n]` of the datatype. The format is
 * Protocol Buffers; a model this small is written faster by hand than by a library.
 */
export function anOnnxModel(operation: 'Identity' | 'Mul', datatype: Datatype): Buffer {
  const operands = operation === 'Mul' ? ['x', 'x'] : ['x'];
  const node = message([...operands.map((name) => text(1, name)), text(2, 'y'), text(4, operation)]);
  const graph = message([bytes(1, node), text(2, 'spec'), bytes(11, tensor('x', datatype)), bytes(12, tensor('y', datatype))]);
  const opset = message([text(1, ''), number(2, OPSET_VERSION)]);
  return message([number(1, IR_VERSION), bytes(7, graph), bytes(8, opset)]);
}

/** `ValueInfoProto`: a name, and a tensor of one free axis. */
function tensor(name: string, datatype: Datatype): Buffer {
  const shape = message([bytes(1, message([text(2, 'n')]))]);
  return message([text(1, name), bytes(2, message([bytes(1, message([number(1, ELEMENT_TYPE[datatype]), bytes(2, shape)]))]))]);
}

function message(fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields);
}

function number(field: number, value: number): Buffer {
  return Buffer.from([...varint(field << 3), ...varint(value)]);
}

function bytes(field: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(content.length)]), content]);
}

function text(field: number, content: string): Buffer {
  return bytes(field, Buffer.from(content));
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
