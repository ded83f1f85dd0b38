import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { AppError } from '@weir/kernel';

const inflaters = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

/**
 * A body without its compression.
 *
 * @throws request.too_large              it is larger than `maxBytes` when it is unpacked
 * @throws request.malformed              it is not what its `Content-Encoding` says
 * @throws request.unsupported_media_type it is packed in another way than gzip and deflate
 */
export async function unpacked(body: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'deflate')
    throw new AppError('request.unsupported_media_type', { message: 'Content-Encoding must be gzip, deflate or identity.' });
  try {
    // What is packed small may be endless: the bound holds while it is unpacked.
    return await inflaters[encoding](body, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw new AppError('request.too_large', { message: `The body is larger than ${maxBytes} bytes when it is unpacked.` });
    throw new AppError('request.malformed', { message: `The body is not valid ${encoding}.`, cause: error });
  }
}
