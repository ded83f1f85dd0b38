import { parameterCount, weightBytes, type OnnxModel, type OnnxValue } from '@weir/onnx';
import { DATATYPES, type Datatype } from '@weir/open-inference';
import { z } from 'zod';
import type { NetworkRole } from './version-package.ts';

/** Stands for a size that the caller chooses, as in the Open Inference Protocol. */
const FREE_AXIS = -1;

const tensorSchema = z.object({
  name: z.string(),
  /** In the terms of the Open Inference Protocol; null where no such tensor can be sent or answered. */
  datatype: z.enum(DATATYPES).nullable(),
  /** -1: the caller chooses. Null where the network leaves open how many axes there are. */
  shape: z.array(z.number()).nullable(),
  /** What the network calls the axes that the caller chooses: the same size wherever the same name stands. */
  axisNames: z.array(z.string().nullable()).nullable(),
});
/** A tensor that a network takes or gives. */
export type NetworkTensor = Readonly<z.infer<typeof tensorSchema>>;

const networkSchema = z.object({
  role: z.enum(['model', 'detector', 'recogniser']) satisfies z.ZodType<NetworkRole>,
  format: z.enum(['onnx']),
  /** Version of ONNX's operators; null where it uses those of other sets alone. */
  opset: z.number().nullable(),
  parameterCount: z.number(),
  weightBytes: z.number(),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
});
/** What a network's file says of itself. */
export type ModelNetwork = Readonly<z.infer<typeof networkSchema>>;

/** The networks of a version as the database has them. */
export const networksSchema: z.ZodType<ModelNetwork[]> = z.array(networkSchema);

/** What people and clients are shown of a network. */
export function describeNetwork(role: NetworkRole, model: OnnxModel): ModelNetwork {
  return {
    role,
    format: 'onnx',
    opset: model.opsets.get('') ?? null,
    parameterCount: parameterCount(model),
    weightBytes: weightBytes(model),
    inputs: model.inputs.map(describeTensor),
    outputs: model.outputs.map(describeTensor),
  };
}

function describeTensor({ name, elementType, axes }: OnnxValue): NetworkTensor {
  const datatype: Datatype | null = elementType?.datatype ?? null;
  return {
    name,
    datatype,
    shape: axes?.map((axis) => (typeof axis === 'number' ? axis : FREE_AXIS)) ?? null,
    axisNames: axes?.map((axis) => (typeof axis === 'string' ? axis : null)) ?? null,
  };
}
