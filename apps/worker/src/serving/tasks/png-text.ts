const SIGNATURE_BYTES = 8;
/** Length, type and checksum around the data of a chunk. */
const CHUNK_FRAME_BYTES = 12;
const TEXT_CHUNKS: ReadonlySet<string> = new Set(['tEXt', 'zTXt', 'iTXt']);

/**
 * A PNG without its comments. They say nothing to a model, and compressed ones cost the decoder half a second for each
 * 50 kB that were sent. Bytes that are not whole chunks are left to the decoder, which refuses them.
 */
export function withoutPngText(png: Buffer): Buffer {
  const kept: Buffer[] = [];
  let from = 0;
  for (let at = SIGNATURE_BYTES; at + CHUNK_FRAME_BYTES <= png.length;) {
    const end = at + CHUNK_FRAME_BYTES + png.readUInt32BE(at);
    if (end > png.length) break;
    if (TEXT_CHUNKS.has(png.toString('latin1', at + 4, at + 8))) {
      kept.push(png.subarray(from, at));
      from = end;
    }
    at = end;
  }
  return from === 0 ? png : Buffer.concat([...kept, png.subarray(from)]);
}
