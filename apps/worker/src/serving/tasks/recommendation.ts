import { AppError } from '@weir/kernel';
import { COUNT_OUTPUT, ITEM_OUTPUT, SCORE_OUTPUT, type Tensor } from '@weir/open-inference';
import { z } from 'zod';
import { MODEL, type ModelPackage } from '../model-package/model-package.ts';
import { invalidFile, readRequiredJson } from '../model-package/package-files.ts';
import { numbersOf, runPrepared } from './prepared-run.ts';
import { itemField, textsOf, wholeNumberParameter } from './processed-input.ts';
import { bestFirst } from './ranking.ts';
import { describeTensor, signatureOfRole, type Signature, type SignatureTensor } from './signature.ts';
import { defineTask } from './task-definition.ts';
import { ONE_INPUT, type TaskAnswer, type TaskCall } from './task.ts';

const DEFAULT_TOP_ITEMS = 10;
const MAX_TOP_ITEMS = 1_000;

const idSchema = z.union([z.string(), z.number()]).transform(String);
const usersSchema = z.array(idSchema);
const itemsSchema = z.array(z.union([idSchema, z.looseObject({ id: idSchema }).transform(({ id }) => id)]));
const seenSchema = z.record(z.string(), z.array(z.number().int().nonnegative()));

/** Whom the numbers of the network mean, and what. */
interface Catalogue {
  /** The network's number of each user. */
  readonly users: ReadonlyMap<string, number>;
  /** In the network's order. */
  readonly items: readonly string[];
  /** Positions of items that are not recommended to a user again. */
  readonly seen: ReadonlyMap<string, ReadonlySet<number>>;
}

interface Recommended {
  readonly item: string;
  readonly score: number;
}

/** Users in, ranked items out, without those that the user has seen. */
export const recommendation = defineTask<Catalogue>({
  assertFits: (_, signatures) => {
    const signature = signatureOfRole(signatures, MODEL);
    userInput(signature);
    scoresOutput(signature);
  },
  prepare: async (modelPackage, signatures) => {
    const catalogue = await readCatalogue(modelPackage);
    const size = scoresOutput(signatureOfRole(signatures, MODEL)).dims[1];
    if (typeof size === 'number' && size !== catalogue.items.length)
      throw new AppError('model.package_invalid', {
        message: `The package names ${catalogue.items.length} items, the model gives ${size} scores.`,
      });
    return catalogue;
  },
  infer: recommend,
});

async function recommend(call: TaskCall, catalogue: Catalogue): Promise<TaskAnswer> {
  const keep = wholeNumberParameter(call.request.parameters, 'top_k', { minimum: 1, maximum: MAX_TOP_ITEMS, byDefault: DEFAULT_TOP_ITEMS });
  const users = textsOf(call);
  const positions = users.map((user, index) => {
    const position = catalogue.users.get(user);
    if (position !== undefined) return position;
    throw new AppError('model.input_invalid', {
      field: itemField(index),
      message: `item ${index}: expected a user that the model knows, got one that it does not`,
    });
  });
  const ranked = await Promise.all(positions.map((position, index) => rankedItems(call, catalogue, users[index] ?? '', position, keep)));
  return { outputs: recommendationOutputs(ranked), usage: { inputs: users.length, 'input-tokens': 0 } };
}

async function rankedItems(
  call: TaskCall,
  { items, seen }: Catalogue,
  user: string,
  position: number,
  keep: number,
): Promise<Recommended[]> {
  const signature = signatureOfRole(call.version.signatures, MODEL);
  const input = userInput(signature);
  const dims = input.dims.length === 1 ? [1] : [1, 1];
  const feed =
    input.datatype === 'INT64'
      ? ({ name: input.name, type: 'int64', dims, data: BigInt64Array.of(BigInt(position)) } as const)
      : ({ name: input.name, type: 'int32', dims, data: Int32Array.of(position) } as const);
  const item = { network: MODEL, feeds: [feed], outputs: [scoresOutput(signature).name], usage: ONE_INPUT };
  const [output] = await runPrepared(call, item);
  const { data: scores } = numbersOf(output, [1, items.length]);
  const known = seen.get(user);
  return bestFirst(scores, keep, (index) => known?.has(index) === true).map((index) => ({
    item: items[index] ?? '',
    score: scores[index] ?? 0,
  }));
}

/** Rows are as long as the longest one. */
function recommendationOutputs(users: readonly (readonly Recommended[])[]): Tensor[] {
  const width = users.reduce((longest, { length }) => Math.max(longest, length), 0);
  const shape = [users.length, width];
  const filled = users.flatMap((ranked) => Array.from({ length: width }, (_, rank) => ranked[rank] ?? null));
  return [
    { name: ITEM_OUTPUT, datatype: 'BYTES', shape, data: filled.map((each) => each?.item ?? '') },
    { name: SCORE_OUTPUT, datatype: 'FP32', shape, data: Float32Array.from(filled, (each) => each?.score ?? 0) },
    { name: COUNT_OUTPUT, datatype: 'INT32', shape: [users.length], data: Int32Array.from(users, ({ length }) => length) },
  ];
}

async function readCatalogue(modelPackage: ModelPackage): Promise<Catalogue> {
  const { recommendation: section } = modelPackage.weir;
  if (section === undefined) throw invalidFile('weir.json', 'needs the section "recommendation" for the task recommendation');
  const users = await readRequiredJson(modelPackage, section.users, usersSchema);
  const items = await readRequiredJson(modelPackage, section.items, itemsSchema);
  const seen = section.seen === undefined ? {} : await readRequiredJson(modelPackage, section.seen, seenSchema);
  const beyond = Object.values(seen).some((positions) => positions.some((position) => position >= items.length));
  if (beyond) throw invalidFile(section.seen ?? 'weir.json', `names items beyond the ${items.length} of ${section.items}`);
  return {
    users: new Map(users.map((user, index) => [user, index])),
    items,
    seen: new Map(Object.entries(seen).map(([user, positions]) => [user, new Set(positions)])),
  };
}

/** @throws model.package_invalid when the model takes something else than the number of a user */
function userInput({ inputs }: Signature): SignatureTensor {
  const [input, ...others] = inputs;
  const isNumber = input?.datatype === 'INT64' || input?.datatype === 'INT32';
  const isColumn = input?.dims.length === 1 || (input?.dims.length === 2 && (input.dims[1] === 1 || typeof input.dims[1] !== 'number'));
  if (input !== undefined && others.length === 0 && isNumber && isColumn) return input;
  throw new AppError('model.package_invalid', {
    message: `A recommender needs one input INT64 [users]; the model takes ${inputs.map(describeTensor).join(', ')}.`,
  });
}

/** @throws model.package_invalid when the model does not give a score for each item */
function scoresOutput({ outputs }: Signature): SignatureTensor {
  const [output, ...others] = outputs.filter(({ datatype }) => datatype === 'FP32' || datatype === 'FP16' || datatype === 'FP64');
  if (output !== undefined && others.length === 0 && output.dims.length === 2) return output;
  throw new AppError('model.package_invalid', {
    message: `A recommender needs one output FP32 [users, items]; the model gives ${outputs.map(describeTensor).join(', ')}.`,
  });
}
