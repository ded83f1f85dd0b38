import { AppError } from '@weir/kernel';
import { formatShape, type Datatype, type Tensor, type TensorMetadata } from '@weir/open-inference';
import type { LoadedSignature, OnnxTensor, OnnxTensorInfo, OnnxType } from '../runtime/messages.ts';

const DATATYPE_OF: Readonly<Record<OnnxType, Datatype>> = {
  bool: 'BOOL',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  string: 'BYTES',
};

const ONNX_TYPE_OF = Object.fromEntries(Object.entries(DATATYPE_OF).map(([type, datatype]) => [datatype, type])) as Readonly<
  Record<Datatype, OnnxType>
>;

/** One tensor of a model's signature. */
export interface SignatureTensor {
  readonly name: string;
  readonly datatype: Datatype;
  /** A number is fixed; a name is a size that the caller chooses, the same wherever the name stands; null is free. */
  readonly dims: readonly (number | string | null)[];
}

/** What a model takes and gives, in the protocol's terms. */
export interface Signature {
  readonly inputs: readonly SignatureTensor[];
  readonly outputs: readonly SignatureTensor[];
}

/**
 * The signature of a network that the package has.
 *
 * @throws model.package_invalid when it has no network of this role
 */
export function signatureOfRole(signatures: ReadonlyMap<string, Signature>, role: string): Signature {
  const signature = signatures.get(role);
  if (signature === undefined) throw new AppError('model.package_invalid', { message: `The package has no network "${role}".` });
  return signature;
}

/** @throws model.package_invalid when an input has a type that the platform does not carry; outputs of such types are left out */
export function signatureOf(loaded: LoadedSignature): Signature {
  const inputs = loaded.inputs.map((info) => {
    const tensor = signatureTensor(info);
    if (tensor === null)
      throw new AppError('model.package_invalid', {
        message: `The model's input ${JSON.stringify(info.name)} has the type ${info.type}, which is not supported.`,
      });
    return tensor;
  });
  return { inputs, outputs: loaded.outputs.map(signatureTensor).filter((tensor) => tensor !== null) };
}

function signatureTensor(info: OnnxTensorInfo): SignatureTensor | null {
  const datatype = Object.hasOwn(DATATYPE_OF, info.type) ? DATATYPE_OF[info.type as OnnxType] : undefined;
  if (datatype === undefined) return null;
  const dims = info.dims.map((size) => (typeof size === 'string' ? (size === '' ? null : size) : size > 0 ? size : null));
  return { name: info.name, datatype, dims };
}

/** As the protocol writes it: -1 where the caller chooses. */
export function tensorMetadata({ name, datatype, dims }: SignatureTensor): TensorMetadata {
  return { name, datatype, shape: dims.map((size) => (typeof size === 'number' ? size : -1)) };
}

/** As people read it: `FP32 [batch, 1, 28, 28]`. */
export function describeTensor({ name, datatype, dims }: SignatureTensor): string {
  return `${JSON.stringify(name)} ${datatype} ${formatShape(dims.map((size) => size ?? 'any'))}`;
}

/**
 * Checks that tensors are what the model takes: every input once, no other, datatypes and shapes as declared.
 *
 * @param optional inputs that the worker can fill itself
 * @throws model.input_invalid naming the tensor, what is expected and what came
 */
export function assertFits(
  signature: Signature,
  tensors: readonly Pick<Tensor, 'name' | 'datatype' | 'shape'>[],
  optional: ReadonlySet<string> = new Set(),
): void {
  const wanted = new Map(signature.inputs.map((input) => [input.name, input]));
  const sizes = new Map<string, number>();
  for (const [index, tensor] of tensors.entries()) {
    const expected = wanted.get(tensor.name);
    const field = `inputs[${index}]`;
    if (expected === undefined) {
      throw new AppError('model.input_invalid', {
        field: `${field}.name`,
        message: `unknown input ${JSON.stringify(tensor.name.slice(0, 80))}; the model takes ${signature.inputs.map(describeTensor).join(', ')}`,
      });
    }
    wanted.delete(tensor.name);
    if (tensor.datatype !== expected.datatype) {
      throw new AppError('model.input_invalid', {
        field: `${field}.datatype`,
        message: `input ${JSON.stringify(tensor.name)}: expected datatype ${expected.datatype}, got ${tensor.datatype}`,
      });
    }
    assertShape(tensor, expected, sizes, field);
  }
  for (const missing of wanted.values()) {
    if (optional.has(missing.name)) continue;
    throw new AppError('model.input_invalid', { field: 'inputs', message: `missing input ${describeTensor(missing)}` });
  }
}

function assertShape(tensor: Pick<Tensor, 'name' | 'shape'>, expected: SignatureTensor, sizes: Map<string, number>, field: string): void {
  // ONNX Runtime says [] for a scalar and for a shape that the model leaves open: the run decides.
  if (expected.dims.length === 0) return;
  const fits =
    tensor.shape.length === expected.dims.length &&
    expected.dims.every((size, axis) => {
      const got = tensor.shape[axis] ?? 0;
      if (typeof size === 'number') return got === size;
      if (size === null) return true;
      const known = sizes.get(size);
      if (known === undefined) sizes.set(size, got);
      return known === undefined || known === got;
    });
  if (fits) return;
  const dims = expected.dims.map((size) => (typeof size === 'string' && sizes.has(size) ? `${size}=${sizes.get(size)}` : (size ?? 'any')));
  throw new AppError('model.input_invalid', {
    field: `${field}.shape`,
    message: `input ${JSON.stringify(tensor.name)}: expected shape ${formatShape(dims)}, got ${formatShape(tensor.shape)}`,
  });
}

/** For ONNX Runtime. */
export function toOnnx(tensor: Tensor): OnnxTensor {
  return { name: tensor.name, type: ONNX_TYPE_OF[tensor.datatype], dims: tensor.shape, data: tensor.data };
}

/** From ONNX Runtime. */
export function fromOnnx(tensor: OnnxTensor): Tensor {
  return { name: tensor.name, datatype: DATATYPE_OF[tensor.type], shape: tensor.dims, data: tensor.data };
}
