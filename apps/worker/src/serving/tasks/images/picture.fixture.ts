import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';

/** A picture of one colour with a dot of another in the middle. */
export function aPicture(ground: string, dot: string, width = 8, height = 8): Sharp {
  return sharp({ create: { width, height, channels: 3, background: ground } }).composite([
    { input: { create: { width: 4, height: 4, channels: 3, background: dot } }, left: (width - 4) / 2, top: (height - 4) / 2 },
  ]);
}

/** One chunk of a PNG file. */
export function aPngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** Where a PNG's second chunk begins: behind the signature and the head. */
export const PNG_HEAD_BYTES = 8 + 25;

/** A small PNG whose head claims these edges. */
export function aPngOfSize(width: number, height: number): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.writeUInt8(8, 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    aPngChunk('IHDR', head),
    aPngChunk('IDAT', deflateSync(Buffer.alloc(1_000))),
    aPngChunk('IEND', Buffer.alloc(0)),
  ]);
}
