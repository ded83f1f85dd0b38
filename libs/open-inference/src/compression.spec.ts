import { deflateSync, gzipSync, inflateSync, gunzipSync } from 'node:zlib';
import type { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { encodingFor, packed, unpacked } from './compression.ts';

const text = Buffer.from('{"inputs": []}');

describe('a packed body', () => {
  it.each([
    ['gzip', gzipSync(text)],
    ['GZIP', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['identity', text],
    [undefined, text],
  ])('of %s is read', async (encoding, body) => {
    expect((await unpacked(body, encoding, 100)).toString()).toBe(text.toString());
  });

  it.each([
    ['a bomb', gzipSync(Buffer.alloc(50_000_000)), 'gzip', 'request.too_large'],
    ['a body that is not packed', text, 'gzip', 'request.malformed'],
    ['a body that ends too early', gzipSync(text).subarray(0, 15), 'gzip', 'request.malformed'],
    ['another packing than it says', gzipSync(text), 'deflate', 'request.malformed'],
    ['a packing that is not offered', text, 'br', 'request.unsupported_media_type'],
    ['two packings', gzipSync(gzipSync(text)), 'gzip, gzip', 'request.unsupported_media_type'],
  ])('that is %s is refused', async (_, body, encoding, code) => {
    const outcome = await unpacked(body, encoding, 1_000_000).then(
      // Its size alone: a failure that printed what was unpacked would not end.
      ({ length }) => `${length} bytes`,
      (error: AppError) => error.code,
    );
    expect(outcome).toBe(code);
  });
});

describe('an answer', () => {
  const large = Buffer.alloc(100_000, 'weir');

  it('is packed as the caller accepts', async () => {
    expect(gunzipSync(await packed(large, 'gzip'))).toEqual(large);
    expect(inflateSync(await packed(large, 'deflate'))).toEqual(large);
  });

  it.each([
    ['gzip', 'gzip'],
    ['deflate', 'deflate'],
    ['gzip, deflate, br', 'gzip'],
    ['deflate;q=0.5, GZIP;q=0.1', 'gzip'],
    ['gzip;q=0, deflate', 'deflate'],
    ['gzip;q=0.0', null],
    ['*', 'gzip'],
    ['br', null],
    ['', null],
    [undefined, null],
  ])('for a caller who accepts %j is packed with %j', (accept, encoding) => {
    expect(encodingFor(accept, large.length)).toBe(encoding);
  });

  it('that is small leaves as it is', () => {
    expect(encodingFor('gzip', 100)).toBeNull();
  });
});
