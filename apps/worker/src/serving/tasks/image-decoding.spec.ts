import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ImagePreparation } from '../packages/model-package.ts';
import { borderMean, imageBytes, imageFormat, preparedImage } from './image-decoding.ts';

const PREPARATION: ImagePreparation = {
  heightPixels: 4,
  widthPixels: 4,
  shortestEdgePixels: null,
  kernel: 'nearest',
  channels: 1,
  rescaleFactor: 1 / 255,
  mean: [0],
  deviation: [1],
  background: 'dark',
};

/** A picture of one colour with a dot of another in the middle. */
function aPicture(ground: string, dot: string, width = 8, height = 8) {
  return sharp({ create: { width, height, channels: 3, background: ground } }).composite([
    { input: { create: { width: 4, height: 4, channels: 3, background: dot } }, left: (width - 4) / 2, top: (height - 4) / 2 },
  ]);
}

const read = (bytes: Buffer, over: Partial<ImagePreparation> = {}, maxPixels = 10_000) =>
  preparedImage(bytes, { ...PREPARATION, ...over }, maxPixels, 'image 0');

/** One chunk of a PNG file. */
function aChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

describe('a picture', () => {
  it('is read from PNG, JPEG and WebP alike', async () => {
    for (const bytes of [
      await aPicture('#000', '#fff').png().toBuffer(),
      await aPicture('#000', '#fff').jpeg({ quality: 100 }).toBuffer(),
      await aPicture('#000', '#fff').webp({ lossless: true }).toBuffer(),
    ]) {
      const numbers = await read(bytes);
      expect(numbers[0]).toBeLessThan(0.1);
      expect(numbers[5]).toBeGreaterThan(0.9);
    }
  });

  it('of dark ink on paper is inverted for a model that knows bright ink on a dark ground, and only then', async () => {
    const paper = await aPicture('#fff', '#000').png().toBuffer();
    expect((await read(paper))[5]).toBe(1);
    expect((await read(paper, { background: null }))[5]).toBe(0);
    expect((await read(paper, { background: 'light' }))[5]).toBe(0);
  });

  it('is read without its comments, so that a compressed one cannot keep the decoder busy', async () => {
    const plain = await aPicture('#000', '#fff').png().toBuffer();
    const deflated = deflateSync(Buffer.alloc(1_000_000));
    const comments = [
      aChunk('tEXt', Buffer.from('a\0b')),
      aChunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), deflated])),
      aChunk('iTXt', Buffer.concat([Buffer.from('a\0\x01\0\0\0'), deflated])),
    ];
    const headEnds = 8 + 25;
    const talkative = Buffer.concat([plain.subarray(0, headEnds), ...comments, plain.subarray(headEnds)]);
    expect(imageBytes(talkative.toString('base64'), 'image 0')).toEqual(plain);
    expect(imageBytes(talkative.subarray(0, -20).toString('base64'), 'image 0')).toEqual(plain.subarray(0, -20));
  });

  it('with transparent ground counts as drawn on paper', async () => {
    const bytes = await sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
      .png()
      .toBuffer();
    expect((await read(bytes, { background: null }))[0]).toBe(1);
  });

  it('in colour fills three planes, scaled and normalised', async () => {
    const numbers = await read(await aPicture('#ff0000', '#ff0000').png().toBuffer(), {
      channels: 3,
      background: null,
      mean: [0.5, 0.5, 0.5],
      deviation: [0.5, 0.5, 0.5],
    });
    expect(numbers).toHaveLength(48);
    expect([numbers[0], numbers[16], numbers[32]]).toEqual([1, -1, -1]);
  });

  it('that is wider than high is cut from the middle when the model asks for the shorter edge', async () => {
    const numbers = await read(await aPicture('#000', '#fff', 24, 4).png().toBuffer(), { shortestEdgePixels: 4, background: null });
    expect(Array.from(numbers)).toEqual(Array.from({ length: 16 }, () => 1));
  });

  it('with more pixels than allowed is refused with the limit', async () => {
    await expect(read(await aPicture('#000', '#fff', 200, 200).png().toBuffer())).rejects.toMatchObject({
      code: 'model.image_invalid',
      message: 'image 0 has more than 10000 pixels.',
    });
  });

  it('that is long and thin is refused when scaling it up would make it too large', async () => {
    const thin = await sharp({ create: { width: 1, height: 2_000, channels: 3, background: '#000' } })
      .png()
      .toBuffer();
    await expect(read(thin, { shortestEdgePixels: 4, background: null })).rejects.toMatchObject({
      code: 'model.image_invalid',
      message: 'image 0 has more than 10000 pixels.',
    });
  });

  it('that is cut off in the middle is refused', async () => {
    const bytes = await aPicture('#123', '#fff', 64, 64).png().toBuffer();
    await expect(read(bytes.subarray(0, bytes.length / 2))).rejects.toMatchObject({ code: 'model.image_invalid' });
  });

  it.each([
    ['text', 'hello, world!!', 'image 0 is not base64.'],
    ['nothing', '', 'image 0 is not base64.'],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64'), 'image 0 is not a PNG, JPEG or WebP file.'],
    ['a GIF', Buffer.from('GIF89a............').toString('base64'), 'image 0 is not a PNG, JPEG or WebP file.'],
  ])('that is %s is refused', (_, base64, message) => {
    expect(() => imageBytes(base64, 'image 0')).toThrowError(expect.objectContaining({ code: 'model.image_invalid', message }));
  });

  it('is known by its first bytes, not by what they claim', () => {
    expect(imageFormat(Buffer.from('RIFF....WEBP'))).toBe('webp');
    expect(imageFormat(Buffer.from('RIFF....WAVE'))).toBeNull();
    expect(imageFormat(Buffer.from(''))).toBeNull();
  });

  it('is judged by all of its border', () => {
    expect(borderMean(Uint8Array.of(10, 10, 10, 10, 255, 10, 10, 10, 10), 3, 3, 1)).toBe(10);
  });
});
