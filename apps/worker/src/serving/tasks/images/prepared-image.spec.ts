import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ImagePreparation } from '../../model-package/image-preparation.ts';
import { Turns } from '../turns.ts';
import { aPicture, aPngChunk, aPngOfSize, PNG_HEAD_BYTES } from './picture.fixture.ts';
import { pictureFile, pictureFormat } from './picture-file.ts';
import { borderMean, prepareImage, scaledSize } from './prepared-image.ts';

const PREPARATION: ImagePreparation = {
  scaling: { kind: 'exact', heightPixels: 4, widthPixels: 4 },
  crop: null,
  pad: null,
  kernel: 'nearest',
  channels: 1,
  colour: 'grey',
  layout: 'nchw',
  rescaleFactor: 1 / 255,
  mean: [0],
  deviation: [1],
  background: null,
};
const COLOUR = { channels: 3, colour: 'rgb', mean: [0, 0, 0], deviation: [1, 1, 1] } as const;
const LIMITS = { maxItems: 4, maxTextCharacters: 1, maxImagePixels: 10_000, maxAudioSeconds: 1 };

const turns = new Turns(new AbortController().signal);

/** Prepares an item as a call does: text is base64, bytes are a file. */
async function prepared(item: string | Uint8Array, over: Partial<ImagePreparation> = {}) {
  return prepareImage(await pictureFile(item, 0, turns), { ...PREPARATION, ...over }, { limits: LIMITS }, turns);
}

const numbersOf = async (item: string | Uint8Array, over: Partial<ImagePreparation> = {}): Promise<number[]> =>
  Array.from((await prepared(item, over)).numbers);

const invalid = (message: string) => ({ code: 'model.image_invalid', field: 'inputs[0].data[0]', message });
const DAMAGED = 'image 0 cannot be read: the file is damaged.';

describe('a picture', () => {
  it('is read from PNG, JPEG and WebP alike', async () => {
    for (const bytes of [
      await aPicture('#000', '#fff').png().toBuffer(),
      await aPicture('#000', '#fff').jpeg({ quality: 100 }).toBuffer(),
      await aPicture('#000', '#fff').webp({ lossless: true }).toBuffer(),
    ]) {
      const numbers = await numbersOf(bytes);
      expect(numbers[0]).toBeLessThan(0.1);
      expect(numbers[5]).toBeGreaterThan(0.9);
    }
  });

  it('is the same in base64 as in bytes', async () => {
    const bytes = await aPicture('#123456', '#fff').png().toBuffer();
    expect(await numbersOf(bytes.toString('base64'))).toEqual(await numbersOf(bytes));
    expect(await numbersOf(bytes.toString('base64url'))).toEqual(await numbersOf(bytes));
  });

  it('that is several pieces of base64 long is whole', async () => {
    const noise = Buffer.alloc(1_500_000, Buffer.from([1, 2, 3, 5, 8, 13, 21]));
    const file = await pictureFile(Buffer.concat([Buffer.from('\xff\xd8\xff', 'latin1'), noise]).toString('base64'), 0, turns);
    expect(file.bytes.subarray(3).equals(noise)).toBe(true);
  });

  it('of dark ink on paper is inverted for a model that knows bright ink on a dark ground, and only then', async () => {
    const paper = await aPicture('#fff', '#000').png().toBuffer();
    expect((await numbersOf(paper, { background: 'dark' }))[5]).toBe(1);
    expect((await numbersOf(paper, { background: null }))[5]).toBe(0);
    expect((await numbersOf(paper, { background: 'light' }))[5]).toBe(0);
  });

  it('is read without its comments, so that a compressed one cannot keep the decoder busy', async () => {
    const plain = await aPicture('#000', '#fff').png().toBuffer();
    const deflated = deflateSync(Buffer.alloc(1_000_000));
    const comments = [
      aPngChunk('tEXt', Buffer.from('a\0b')),
      aPngChunk('zTXt', Buffer.concat([Buffer.from('a\0\0'), deflated])),
      aPngChunk('iTXt', Buffer.concat([Buffer.from('a\0\x01\0\0\0'), deflated])),
    ];
    const talkative = Buffer.concat([plain.subarray(0, PNG_HEAD_BYTES), ...comments, plain.subarray(PNG_HEAD_BYTES)]);
    expect((await pictureFile(talkative, 0, turns)).bytes).toEqual(plain);
    expect((await pictureFile(talkative.subarray(0, -20), 0, turns)).bytes).toEqual(plain.subarray(0, -20));
  });

  it('with transparent ground counts as drawn on paper', async () => {
    const bytes = await sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } })
      .png()
      .toBuffer();
    expect((await numbersOf(bytes))[0]).toBe(1);
  });

  it('in colour fills three planes, scaled and normalised', async () => {
    const numbers = await numbersOf(await aPicture('#ff0000', '#ff0000').png().toBuffer(), {
      ...COLOUR,
      mean: [0.5, 0.5, 0.5],
      deviation: [0.5, 0.25, 0.5],
    });
    expect(numbers).toHaveLength(48);
    expect([numbers[0], numbers[16], numbers[32]]).toEqual([1, -2, -1]);
  });

  it('has its channels last, or blue first, where the model wants that', async () => {
    const bytes = await aPicture('#ff8000', '#ff8000').png().toBuffer();
    const last = await prepared(bytes, { ...COLOUR, layout: 'nhwc', rescaleFactor: 1 });
    expect(last.dims).toEqual([4, 4, 3]);
    expect(Array.from(last.numbers.subarray(0, 6))).toEqual([255, 128, 0, 255, 128, 0]);
    const blueFirst = await prepared(bytes, { ...COLOUR, colour: 'bgr', rescaleFactor: 1, mean: [1, 2, 3] });
    expect(blueFirst.dims).toEqual([3, 4, 4]);
    expect([blueFirst.numbers[0], blueFirst.numbers[16], blueFirst.numbers[32]]).toEqual([-1, 126, 252]);
  });

  it('of 16 bits a channel, or with an alpha channel of 16 bits, is read like one of 8', async () => {
    const deep = sharp({ create: { width: 8, height: 8, channels: 3, background: '#804020' } }).toColourspace('rgb16');
    const numbers = await numbersOf(await deep.png().toBuffer(), { ...COLOUR, rescaleFactor: 1 });
    expect([numbers[0], numbers[16], numbers[32]]).toEqual([0x80, 0x40, 0x20]);
    const grey = sharp({ create: { width: 8, height: 8, channels: 3, background: '#808080' } }).toColourspace('grey16');
    expect((await numbersOf(await grey.png().toBuffer(), { rescaleFactor: 1 }))[0]).toBe(0x80);
    const veiled = sharp({ create: { width: 8, height: 8, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } } });
    const pink = await numbersOf(await veiled.toColourspace('rgb16').png().toBuffer(), { ...COLOUR, rescaleFactor: 1 });
    expect([pink[0], pink[16], pink[32]]).toEqual([255, 127, 127]);
  });

  it('in the four colours of print is read as they look', async () => {
    const printed = (colour: string) => aPicture(colour, colour).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    const white = await numbersOf(await printed('#ffffff'), COLOUR);
    expect(Math.min(...white)).toBe(1);
    const red = await numbersOf(await printed('#ff0000'), COLOUR);
    expect(red[0]).toBeGreaterThan(0.8);
    expect(Math.max(red[16] ?? 1, red[32] ?? 1)).toBeLessThan(0.1);
  });

  it('that the camera held upright is upright', async () => {
    const marked = sharp({ create: { width: 8, height: 4, channels: 3, background: '#000' } }).composite([
      { input: { create: { width: 4, height: 4, channels: 3, background: '#fff' } }, left: 0, top: 0 },
    ]);
    const turned = await marked.withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer();
    const { numbers, original } = await prepared(turned, { scaling: { kind: 'original' } });
    expect(original).toEqual({ widthPixels: 4, heightPixels: 8 });
    expect([numbers[0], numbers.at(-1)].map((value) => Math.round(value ?? 0))).toEqual([1, 0]);
  });

  it('that is wider than high is cut from the middle when the model asks for the shorter edge, and says from where', async () => {
    const wide = await aPicture('#000', '#fff', 24, 4).png().toBuffer();
    const { numbers, original, toOriginal } = await prepared(wide, {
      scaling: { kind: 'edges', shortestEdgePixels: 4, longestEdgePixels: null },
      crop: { heightPixels: 4, widthPixels: 4 },
    });
    expect(Array.from(numbers)).toEqual(Array.from({ length: 16 }, () => 1));
    expect(original).toEqual({ widthPixels: 24, heightPixels: 4 });
    expect(toOriginal).toEqual({ x: { offset: 10, factor: 1 }, y: { offset: 0, factor: 1 } });
  });

  it('is filled up at the right and at the bottom with 0, whatever its colours mean', async () => {
    const { numbers, dims, content } = await prepared(await aPicture('#fff', '#fff', 8, 4).png().toBuffer(), {
      scaling: { kind: 'edges', shortestEdgePixels: null, longestEdgePixels: 2 },
      pad: { heightPixels: 3, widthPixels: 3 },
      mean: [0.5],
      deviation: [0.5],
    });
    expect(dims).toEqual([1, 3, 3]);
    expect(content).toEqual({ widthPixels: 2, heightPixels: 1 });
    expect(Array.from(numbers)).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0]);
  });

  it.each<[string, ImagePreparation['scaling'], [number, number]]>([
    ['exactly', { kind: 'exact', widthPixels: 10, heightPixels: 20 }, [10, 20]],
    ['by its shorter edge', { kind: 'edges', shortestEdgePixels: 800, longestEdgePixels: null }, [1_600, 800]],
    [
      'by its longer edge where the shorter one would make it too long',
      { kind: 'edges', shortestEdgePixels: 800, longestEdgePixels: 1_333 },
      [1_333, 667],
    ],
    ['by its longer edge alone', { kind: 'edges', shortestEdgePixels: null, longestEdgePixels: 50 }, [50, 25]],
    ['so that it fits', { kind: 'fit', widthPixels: 300, heightPixels: 100 }, [200, 100]],
    ['not at all', { kind: 'original' }, [400, 200]],
  ])('of 400 × 200 pixels is scaled %s', (_, scaling, [widthPixels, heightPixels]) => {
    expect(scaledSize({ widthPixels: 400, heightPixels: 200 }, { ...PREPARATION, scaling })).toEqual({ widthPixels, heightPixels });
  });

  it('is judged by all of its border', () => {
    expect(borderMean(Uint8Array.of(10, 10, 10, 10, 255, 10, 10, 10, 10), 3, 3, 1)).toBe(10);
  });

  it('is known by its first bytes, not by what they claim', () => {
    expect(pictureFormat(Buffer.from('RIFF....WEBP'))).toBe('webp');
    expect(pictureFormat(Buffer.from('RIFF....WAVE'))).toBeNull();
    expect(pictureFormat(Buffer.from(''))).toBeNull();
  });
});

describe('a picture is refused', () => {
  const tooLarge = invalid('image 0 has more than 10000 pixels.');

  it('with the limit when it has more pixels than allowed, whatever it weighs', async () => {
    await expect(prepared(await aPicture('#000', '#fff', 200, 200).png().toBuffer())).rejects.toMatchObject(tooLarge);
    await expect(prepared(aPngOfSize(50_000, 50_000))).rejects.toMatchObject(tooLarge);
  });

  it('when it is long and thin and scaling it up would make it too large', async () => {
    const thin = await sharp({ create: { width: 1, height: 2_000, channels: 3, background: '#000' } })
      .png()
      .toBuffer();
    await expect(prepared(thin, { scaling: { kind: 'edges', shortestEdgePixels: 4, longestEdgePixels: null } })).rejects.toMatchObject(
      tooLarge,
    );
  });

  it('when it is cut off in the middle, in every format', async () => {
    const picture = () => aPicture('#123', '#fff', 64, 64);
    for (const bytes of [
      await picture().png().toBuffer(),
      await picture().jpeg().toBuffer(),
      await picture().webp({ lossless: true }).toBuffer(),
    ])
      await expect(prepared(bytes.subarray(0, bytes.length / 2))).rejects.toMatchObject(invalid(DAMAGED));
  });

  it('when bytes of it were changed', async () => {
    const bytes = await aPicture('#123', '#fff', 64, 64).png().toBuffer();
    bytes.fill(0x55, PNG_HEAD_BYTES + 12, PNG_HEAD_BYTES + 40);
    await expect(prepared(bytes)).rejects.toMatchObject(invalid(DAMAGED));
  });

  it('when it has no width, no height, or less data than its head says', async () => {
    for (const bytes of [aPngOfSize(0, 8), aPngOfSize(8, 0), aPngOfSize(90, 90)])
      await expect(prepared(bytes)).rejects.toMatchObject(invalid(DAMAGED));
  });

  it('when it moves: a model sees one picture', async () => {
    const frames = await sharp([await aPicture('#000', '#fff').png().toBuffer(), await aPicture('#fff', '#000').png().toBuffer()], {
      join: { animated: true },
    })
      .webp()
      .toBuffer();
    await expect(prepared(frames)).rejects.toMatchObject(invalid('image 0 is animated: send one picture.'));
    const still = await aPicture('#000', '#fff').png().toBuffer();
    const moving = Buffer.concat([
      still.subarray(0, PNG_HEAD_BYTES),
      aPngChunk('acTL', Buffer.from([0, 0, 0, 2, 0, 0, 0, 0])),
      still.subarray(PNG_HEAD_BYTES),
    ]);
    await expect(prepared(moving)).rejects.toMatchObject(invalid('image 0 is animated: send one picture.'));
  });

  it.each([
    ['text', 'hello, world!!', 'image 0 is not base64.'],
    ['nothing', '', 'image 0 is not base64.'],
    ['base64 that stops in a character', 'iVBORw0KG', 'image 0 is not base64.'],
    ['base64 with something behind its end', 'iVBORw==iVBORw==', 'image 0 is not base64.'],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64'), 'image 0 is not a PNG, JPEG or WebP file.'],
    ['a GIF', Buffer.from('GIF89a............').toString('base64'), 'image 0 is not a PNG, JPEG or WebP file.'],
    ['a PDF', Buffer.from('%PDF-1.7').toString('base64'), 'image 0 is not a PNG, JPEG or WebP file.'],
    ['no bytes', new Uint8Array(0), 'image 0 is not a PNG, JPEG or WebP file.'],
    ['a JPEG in name only', Buffer.from('\xff\xd8\xff and so on', 'latin1'), DAMAGED],
  ])('when it is %s', async (_, item, message) => {
    await expect(prepared(item)).rejects.toMatchObject(invalid(message));
  });
});
