import { promisify } from 'node:util';
import { constants, deflate, gunzip, gzip, inflate } from 'node:zlib';
import { AppError } from '@weir/kernel';

const inflaters = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;
const deflaters = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;

/** How a body may be packed. `deflate` has zlib's frame around it, as HTTP means it. */
export type ContentEncoding = keyof typeof inflaters;

/** Smaller answers leave as they are: packing them takes longer than sending them. */
const SMALLEST_PACKED_BYTES = 4_096;

/**
 * A body without its compression.
 *
 * @throws request.too_large              it is larger than `maxBytes` when it is unpacked
 * @throws request.malformed              it is not what its `Content-Encoding` says
 * @throws request.unsupported_media_type it is packed in another way than gzip and deflate
 */
export async function unpacked(body: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  const coding = codingOf(encoding);
  if (coding === 'identity') return body;
  if (coding !== 'gzip' && coding !== 'deflate')
    throw new AppError('request.unsupported_media_type', { message: 'Content-Encoding must be gzip, deflate or identity.' });
  try {
    // What is packed small may be endless: the bound holds while it is unpacked.
    return await inflaters[coding](body, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw new AppError('request.too_large', { message: `The body is larger than ${maxBytes} bytes when it is unpacked.` });
    throw new AppError('request.malformed', { message: `The body is not valid ${coding}.`, cause: error });
  }
}

/** A `Content-Encoding` in its canonical form: codings have no case, and `x-gzip` is gzip (RFC 9110, section 8.4.1). */
function codingOf(encoding = 'identity'): string {
  const coding = encoding.trim().toLowerCase();
  return coding === 'x-gzip' ? 'gzip' : coding;
}

/** A body packed as quickly as it can be. */
export function packed(body: Buffer, encoding: ContentEncoding): Promise<Buffer> {
  return deflaters[encoding](body, { level: constants.Z_BEST_SPEED });
}

/** How an answer of this size is to be packed for a caller who sent this `Accept-Encoding`; null: not at all. */
export function encodingFor(acceptEncoding: string | undefined, sizeBytes: number): ContentEncoding | null {
  if (acceptEncoding === undefined || sizeBytes < SMALLEST_PACKED_BYTES) return null;
  const accepted = new Set<string>();
  for (const part of acceptEncoding.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    if (!parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))) accepted.add(name);
  }
  if (accepted.has('gzip') || accepted.has('*')) return 'gzip';
  return accepted.has('deflate') ? 'deflate' : null;
}
