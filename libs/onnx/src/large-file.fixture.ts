import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { onnxModel } from '@weir/testing';
import type { ByteSource } from './byte-source.ts';

/** A piece of a file: bytes, and zeros behind them that exist only when they are read. */
interface Piece {
  readonly bytes: Buffer;
  readonly zeros: number;
}

/** A model file of `layers` products with weights `[width, width]` that are zeros: 4 · width² bytes each, inline. */
export function largeFile(layers: number, width: number): ByteSource {
  const weightBytes = 4 * width * width;
  const weights = Array.from({ length: layers }, (_, layer): Piece => {
    const description = new BinaryWriter()
      .tag(1, WireType.Varint)
      .int64(width)
      .tag(1, WireType.Varint)
      .int64(width)
      .tag(2, WireType.Varint)
      .int32(1)
      .tag(8, WireType.LengthDelimited)
      .string(`w${layer}`)
      .tag(9, WireType.LengthDelimited)
      .uint64(weightBytes)
      .finish();
    return { bytes: Buffer.concat([head(5, description.length + weightBytes), description]), zeros: weightBytes };
  });
  const nodes = weights.map((_, layer) => ({
    operator: 'MatMul',
    inputs: [layer === 0 ? 'x' : `h${layer}`, `w${layer}`],
    outputs: [layer === layers - 1 ? 'y' : `h${layer + 1}`],
  }));
  const whole = onnxModel({ inputs: [{ name: 'x', dims: ['n', width] }], outputs: [{ name: 'y', dims: ['n', width] }], nodes });
  const { before, content, behind } = aroundGraph(whole);
  const graph = [{ bytes: content, zeros: 0 }, ...weights];
  return sourceOf([
    { bytes: before, zeros: 0 },
    {
      bytes: head(
        7,
        graph.reduce((sum, piece) => sum + sizeOf(piece), 0),
      ),
      zeros: 0,
    },
    ...graph,
    { bytes: behind, zeros: 0 },
  ]);
}

function head(field: number, length: number): Buffer {
  return Buffer.from(new BinaryWriter().tag(field, WireType.LengthDelimited).uint64(length).finish());
}

/** The content of a model's graph, and what stands before the graph and behind it. */
function aroundGraph(model: Buffer): { before: Buffer; content: Buffer; behind: Buffer } {
  const tag = model.indexOf(0x3a);
  let lengthEnd = tag + 1;
  let length = 0;
  for (let shift = 0, isLast = false; !isLast; shift += 7) {
    const byte = model[lengthEnd++] ?? 0;
    length += (byte & 0x7f) << shift;
    isLast = byte < 0x80;
  }
  return {
    before: model.subarray(0, tag),
    content: model.subarray(lengthEnd, lengthEnd + length),
    behind: model.subarray(lengthEnd + length),
  };
}

function sizeOf({ bytes, zeros }: Piece): number {
  return bytes.length + zeros;
}

function sourceOf(pieces: readonly Piece[]): ByteSource {
  return {
    sizeBytes: pieces.reduce((sum, piece) => sum + sizeOf(piece), 0),
    read: (offset, length) => {
      const content = Buffer.alloc(length);
      let start = 0;
      for (const piece of pieces) {
        if (start < offset + length && start + piece.bytes.length > offset)
          piece.bytes.copy(content, Math.max(0, start - offset), Math.max(0, offset - start));
        start += sizeOf(piece);
      }
      return Promise.resolve(content);
    },
  };
}
