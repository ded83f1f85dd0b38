import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ByteSink } from './byte-sink.ts';
import type { ByteSource } from './byte-source.ts';
import type { OnnxTensor } from './onnx-model.ts';
import { MAX_NAME_BYTES, MAX_PUBLIC_NAME_BYTES } from './reading-limits.ts';
import { readTensor } from './tensor-reader.ts';
import { walkOver, WireCursor, type Walk } from './wire-cursor.ts';

/** A tensor that begins on a page of memory can be mapped instead of copied. */
const PAGE_BYTES = 4_096;
const COPIED_AT_ONCE_BYTES = 1_048_576;
/** From here on a weight need not be an input too. */
const FIRST_IR_OF_PLAIN_WEIGHTS = 4;

/** Where a model goes whose weights stand beside it. */
export interface ExternalWeightsTarget {
  readonly network: ByteSink;
  readonly weights: ByteSink;
  /** Name of the file that `weights` writes, in the same folder as the network's. */
  readonly weightsFile: string;
}

/** What was moved; when nothing was, nothing was written. */
export interface ExternalisedWeights {
  readonly tensors: number;
  readonly bytes: number;
}

/**
 * Writes a model anew with its large weights in a file of their own, each on a page of its own. ONNX Runtime maps such a file where it
 * copies what stands in the model, so that a session takes the weights once (1.1 times their size at most) and not twice. The new
 * model gives the same answers bit for bit. What is external already stays where it is: the new files have to be in the folder of the
 * old one.
 *
 * @param path of the model in its package, for messages
 * @param thresholdBytes weights of at least this size are moved: those of the graph itself, and constants, which become weights
 * @throws model.package_invalid the file cannot be read
 */
export async function externaliseWeights(
  source: ByteSource,
  path: string,
  target: ExternalWeightsTarget,
  thresholdBytes: number,
): Promise<ExternalisedWeights> {
  const plan = await walkOver(source, planMoves(new WireCursor(path, source.sizeBytes), thresholdBytes));
  const places = placesOf(plan.moves);
  if (places.length === 0) return { tensors: 0, bytes: 0 };
  await writeWeights(source, places, target.weights);
  await writeNetwork(source, plan.graph, places, target);
  return { tensors: places.length, bytes: places.reduce((sum, { move }) => sum + move.data.bytes, 0) };
}

interface Range {
  readonly offset: number;
  readonly bytes: number;
}

/** A field of the graph that is written anew. */
interface Move {
  readonly field: Range;
  readonly tensor: OnnxTensor;
  readonly name: string;
  readonly data: Range;
}

interface Place {
  readonly move: Move;
  /** In the file of the weights. */
  readonly offset: number;
}

interface Plan {
  /** The graph's field with its tag, and its content. */
  readonly graph: { readonly field: Range; readonly content: Range };
  readonly moves: readonly Move[];
}

function* planMoves(cursor: WireCursor, thresholdBytes: number): Walk<Plan> {
  let irVersion = 0;
  let graph: Plan['graph'] | null = null;
  let moves: Moves = { weights: [], constants: [] };
  const end = cursor.enterFile();
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) irVersion = Number(cursor.integer);
    if (cursor.field !== 7) continue;
    if (graph !== null) throw cursor.invalid('it has two graphs');
    graph = { field: fieldOf(cursor), content: { offset: cursor.contentStart, bytes: cursor.contentBytes } };
    moves = yield* movesOfGraph(cursor, thresholdBytes);
  }
  if (graph === null) throw cursor.invalid('it has no graph');
  const { weights, constants } = moves;
  const all = irVersion < FIRST_IR_OF_PLAIN_WEIGHTS ? weights : [...weights, ...constants];
  return { graph, moves: all.sort((one, other) => one.field.offset - other.field.offset) };
}

interface Moves {
  readonly weights: Move[];
  readonly constants: Move[];
}

function* movesOfGraph(cursor: WireCursor, thresholdBytes: number): Walk<Moves> {
  const moves: Moves = { weights: [], constants: [] };
  const end = cursor.enter('a graph');
  while (yield* cursor.next(end)) {
    const field = fieldOf(cursor);
    if (field.bytes < thresholdBytes) continue;
    if (cursor.field === 5) {
      const tensor = yield* readTensor(cursor, 'initialiser');
      moves.weights.push(...movesOf(field, tensor, tensor.name, thresholdBytes));
    } else if (cursor.field === 1) {
      const constant = yield* readConstant(cursor);
      if (constant !== null) moves.constants.push(...movesOf(field, constant.tensor, constant.name, thresholdBytes));
    }
  }
  return moves;
}

function fieldOf(cursor: WireCursor): Range {
  return { offset: cursor.fieldStart, bytes: cursor.fieldEnd - cursor.fieldStart };
}

/** The move of a tensor whose numbers lie in the file as they lie in memory; none of another. */
function movesOf(field: Range, tensor: OnnxTensor, name: string, thresholdBytes: number): Move[] {
  const { storage } = tensor;
  const data = storage.kind === 'inline' && tensor.elementType.bits !== null ? storage.content : null;
  return data === null || data.bytes < thresholdBytes ? [] : [{ field, tensor, name, data }];
}

/** The tensor of a Constant and the name of its value; null for every other node. */
function* readConstant(cursor: WireCursor): Walk<{ readonly name: string; readonly tensor: OnnxTensor } | null> {
  let [operator, domain] = ['', ''];
  const outputs: string[] = [];
  let tensor: OnnxTensor | null = null;
  const end = cursor.enter('a node');
  while (yield* cursor.next(end)) {
    if (cursor.field === 2) outputs.push(yield* cursor.text('an output of a node', MAX_NAME_BYTES));
    if (cursor.field === 4) operator = yield* cursor.text('an operator', MAX_PUBLIC_NAME_BYTES);
    if (cursor.field === 5) tensor = (yield* readTensorAttribute(cursor)) ?? tensor;
    if (cursor.field === 7) domain = yield* cursor.text('the domain of an operator', MAX_PUBLIC_NAME_BYTES);
  }
  const [name] = outputs;
  const isConstant = operator === 'Constant' && (domain === '' || domain === 'ai.onnx');
  return isConstant && name !== undefined && tensor !== null ? { name, tensor } : null;
}

function* readTensorAttribute(cursor: WireCursor): Walk<OnnxTensor | null> {
  let tensor: OnnxTensor | null = null;
  const end = cursor.enter('an attribute');
  while (yield* cursor.next(end)) if (cursor.field === 5) tensor = yield* readTensor(cursor, 'constant');
  return tensor;
}

function placesOf(moves: readonly Move[]): Place[] {
  let next = 0;
  return moves.map((move) => {
    const offset = next;
    next = Math.ceil((offset + move.data.bytes) / PAGE_BYTES) * PAGE_BYTES;
    return { move, offset };
  });
}

async function writeWeights(source: ByteSource, places: readonly Place[], sink: ByteSink): Promise<void> {
  let written = 0;
  for (const { move, offset } of places) {
    if (offset > written) await sink.write(new Uint8Array(offset - written));
    await copy(source, sink, move.data);
    written = offset + move.data.bytes;
  }
}

async function writeNetwork(
  source: ByteSource,
  { field, content }: Plan['graph'],
  places: readonly Place[],
  { network, weightsFile }: ExternalWeightsTarget,
): Promise<void> {
  const moved = places.map((place) => ({ field: place.move.field, replacement: externalTensor(place, weightsFile) }));
  const graphBytes = moved.reduce((sum, each) => sum - each.field.bytes + each.replacement.length, content.bytes);
  await copy(source, network, { offset: 0, bytes: field.offset });
  await network.write(new BinaryWriter().tag(7, WireType.LengthDelimited).uint64(BigInt(graphBytes)).finish());
  let at = content.offset;
  for (const { field: old, replacement } of moved) {
    await copy(source, network, { offset: at, bytes: old.offset - at });
    await network.write(replacement);
    at = old.offset + old.bytes;
  }
  await copy(source, network, { offset: at, bytes: source.sizeBytes - at });
}

/** A weight of the graph as a field: what it is, and where its numbers are. */
function externalTensor({ move, offset }: Place, location: string): Uint8Array {
  const writer = new BinaryWriter().tag(5, WireType.LengthDelimited).fork();
  for (const size of move.tensor.dims) writer.tag(1, WireType.Varint).int64(size);
  writer.tag(2, WireType.Varint).int32(move.tensor.elementType.code);
  writer.tag(8, WireType.LengthDelimited).string(move.name);
  for (const [key, value] of Object.entries({ location, offset: String(offset), length: String(move.data.bytes) })) {
    writer.tag(13, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).string(value).join();
  }
  return writer.tag(14, WireType.Varint).int32(1).join().finish();
}

async function copy(source: ByteSource, sink: ByteSink, { offset, bytes }: Range): Promise<void> {
  for (let done = 0; done < bytes; done += COPIED_AT_ONCE_BYTES)
    await sink.write(await source.read(offset + done, Math.min(COPIED_AT_ONCE_BYTES, bytes - done)));
}
