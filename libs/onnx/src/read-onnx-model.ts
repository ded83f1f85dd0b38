import type { ByteSource } from './byte-source.ts';
import { GraphReader } from './graph-reader.ts';
import type { OnnxModel } from './onnx-model.ts';
import { MAX_METADATA, MAX_METADATA_BYTES, MAX_OPSETS, MAX_PUBLIC_NAME_BYTES } from './reading-limits.ts';
import { walkOver, WireCursor, type Walk } from './wire-cursor.ts';

/**
 * Reads what an ONNX file says of itself. Weights are jumped over and nothing is run: models take milliseconds, and no file of
 * whatever size takes more than two seconds of work and 256 MiB of memory.
 *
 * @param path of the file in its package, for messages
 * @throws model.package_invalid the file is cut, no ONNX file, contradicts itself, or has more of something than can be loaded;
 *   the message says what, and at which byte
 */
export async function readOnnxModel(source: ByteSource, path: string): Promise<OnnxModel> {
  return walkOver(source, readModel(new WireCursor(path, source.sizeBytes), path));
}

function* readModel(cursor: WireCursor, path: string): Walk<OnnxModel> {
  const reader = new GraphReader(cursor);
  let graph = null;
  let irVersion = 0;
  const producer = { name: '', version: '' };
  const opsets = new Map<string, number>();
  const metadata = new Map<string, string>();
  const end = cursor.enterFile();
  if (end === 0) throw cursor.invalid('it is empty');
  while (yield* cursor.next(end)) {
    switch (cursor.field) {
      case 1:
        irVersion = Number(cursor.integer);
        break;
      case 2:
        producer.name = yield* cursor.text('the name of the producer', MAX_PUBLIC_NAME_BYTES);
        break;
      case 3:
        producer.version = yield* cursor.text('the version of the producer', MAX_PUBLIC_NAME_BYTES);
        break;
      case 7:
        // Protocol Buffers would merge two of them into one that nobody has checked.
        if (graph !== null) throw cursor.invalid('it has two graphs');
        graph = yield* reader.readMainGraph();
        break;
      case 8:
        if (opsets.size === MAX_OPSETS) throw cursor.invalid(`more than ${MAX_OPSETS} sets of operators`);
        yield* readOpset(cursor, opsets);
        break;
      case 14:
        yield* readMetadata(cursor, metadata);
        break;
      case 25:
        yield* reader.readFunction();
    }
  }
  if (graph === null) throw cursor.invalid('it has no graph');
  if (opsets.size === 0) throw cursor.invalid('it does not say for which operators it is written');
  reader.assertInlinable();
  const { weights } = graph;
  return {
    path,
    fileBytes: cursor.sizeBytes,
    irVersion,
    producer,
    opsets,
    metadata,
    // Files of the first years list their weights as inputs too.
    inputs: graph.inputs.filter(({ name }) => !weights.has(name)),
    outputs: graph.outputs,
    operators: [...reader.operators.values()],
    tensors: reader.tensors,
    expansions: reader.expansions,
    functions: [...reader.functions.values()].map(({ domain, name }) => ({ domain, name })),
    subgraphs: { count: reader.subgraphs, depth: reader.deepest },
  };
}

function* readOpset(cursor: WireCursor, opsets: Map<string, number>): Walk<void> {
  let domain = '';
  let version = 0;
  const end = cursor.enter('a set of operators');
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) domain = yield* cursor.text('the domain of operators', MAX_PUBLIC_NAME_BYTES);
    if (cursor.field === 2) version = Number(cursor.integer);
  }
  opsets.set(domain === 'ai.onnx' ? '' : domain, version);
}

function* readMetadata(cursor: WireCursor, metadata: Map<string, string>): Walk<void> {
  if (metadata.size === MAX_METADATA) throw cursor.invalid(`more than ${MAX_METADATA} notes`);
  let key = '';
  let value: string | null = '';
  const end = cursor.enter('a note');
  while (yield* cursor.next(end)) {
    if (cursor.field === 1) key = yield* cursor.text('the name of a note', MAX_PUBLIC_NAME_BYTES);
    if (cursor.field === 2) value = cursor.contentBytes > MAX_METADATA_BYTES ? null : yield* cursor.text('a note', MAX_METADATA_BYTES);
  }
  if (value !== null) metadata.set(key, value);
}
