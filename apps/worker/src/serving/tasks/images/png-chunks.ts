const SIGNATURE_BYTES = 8;
/** Length, type and checksum around the data of a chunk. */
const CHUNK_FRAME_BYTES = 12;
const TEXT_CHUNKS: ReadonlySet<string> = new Set(['tEXt', 'zTXt', 'iTXt']);
/** Stands before the first picture of an animated PNG. */
const ANIMATION_CHUNK = 'acTL';

/** The chunks of a PNG file as far as they are whole, with the bytes that each takes up. */
function* chunksOf(png: Buffer): Generator<{ readonly type: string; readonly start: number; readonly end: number }> {
  for (let at = SIGNATURE_BYTES; at + CHUNK_FRAME_BYTES <= png.length;) {
    const end = at + CHUNK_FRAME_BYTES + png.readUInt32BE(at);
    if (end > png.length) return;
    yield { type: png.toString('latin1', at + 4, at + 8), start: at, end };
    at = end;
  }
}

/**
 * A PNG without its comments. They say nothing to a model, and compressed ones cost the decoder half a second for each
 * 50 kB that were sent. Bytes that are not whole chunks are left to the decoder, which refuses them.
 */
export function withoutPngText(png: Buffer): Buffer {
  const kept: Buffer[] = [];
  let from = 0;
  for (const { type, start, end } of chunksOf(png)) {
    if (!TEXT_CHUNKS.has(type)) continue;
    kept.push(png.subarray(from, start));
    from = end;
  }
  return from === 0 ? png : Buffer.concat([...kept, png.subarray(from)]);
}

/** Does a PNG file hold several pictures? Decoders that do not know of it show the first one. */
export function isAnimatedPng(png: Buffer): boolean {
  for (const { type } of chunksOf(png)) {
    if (type === ANIMATION_CHUNK) return true;
    if (type === 'IDAT') return false;
  }
  return false;
}
