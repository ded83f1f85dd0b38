import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { linePicture, type Pixels } from './line-pictures.ts';
import type { Corners, Point } from './text-regions.ts';

const SIZE = { heightPixels: 48, widthPixels: 96 };

/** A rectangle of a width and a height about a middle, turned clockwise. */
function turned(middle: Point, width: number, height: number, degrees: number): Corners {
  const angle = (degrees * Math.PI) / 180;
  const at = (u: number, v: number): Point => ({
    x: middle.x + (u * width * Math.cos(angle)) / 2 - (v * height * Math.sin(angle)) / 2,
    y: middle.y + (u * width * Math.sin(angle)) / 2 + (v * height * Math.cos(angle)) / 2,
  });
  return [at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)];
}

/** A line 80 wide and 40 high in the middle of a picture of 200 × 200, turned: its left half red, its right half blue, on white. */
async function aLine(degrees: number): Promise<Pixels> {
  const half = (background: string) => ({ create: { width: 40, height: 40, channels: 3 as const, background } });
  const line = await sharp({ create: { width: 80, height: 40, channels: 3, background: '#fff' } })
    .composite([
      { input: half('#f00'), left: 0, top: 0 },
      { input: half('#00f'), left: 40, top: 0 },
    ])
    .png()
    .toBuffer();
  const { data: rotated, info } = await sharp(line).rotate(degrees, { background: '#fff' }).png().toBuffer({ resolveWithObject: true });
  const data = await sharp({ create: { width: 200, height: 200, channels: 3, background: '#fff' } })
    .composite([{ input: rotated, left: Math.round((200 - info.width) / 2), top: Math.round((200 - info.height) / 2) }])
    .removeAlpha()
    .raw()
    .toBuffer();
  return { data, widthPixels: 200, heightPixels: 200 };
}

describe('a line that is cut out of a picture', () => {
  it.each([[0], [12], [45], [90], [135], [180], [-90], [-30]])('is upright, though it lay turned by %d degrees', async (degrees) => {
    const pixels = await linePicture(await aLine(degrees), turned({ x: 100, y: 100 }, 80, 40, degrees), SIZE);
    const colourAt = (x: number, y: number): number[] => [...pixels.subarray((y * 96 + x) * 3, (y * 96 + x) * 3 + 3)];
    for (const y of [6, 24, 42]) {
      for (const x of [6, 24, 42]) expect(colourAt(x, y)).toEqual([expect.closeTo(255, -1), expect.closeTo(0, -1), expect.closeTo(0, -1)]);
      for (const x of [54, 72, 90]) expect(colourAt(x, y)).toEqual([expect.closeTo(0, -1), expect.closeTo(0, -1), expect.closeTo(255, -1)]);
    }
  });

  it('is whole, wherever it lies and however small it is, beyond the edges of the picture too', async () => {
    const picture: Pixels = { data: Buffer.alloc(60 * 40 * 3, 200), widthPixels: 60, heightPixels: 40 };
    const place = fc.double({ min: -30, max: 90, noNaN: true });
    const edge = fc.double({ min: 0, max: 120, noNaN: true });
    await fc.assert(
      fc.asyncProperty(place, place, edge, edge, fc.double({ min: -180, max: 180, noNaN: true }), async (x, y, width, height, degrees) => {
        const pixels = await linePicture(picture, turned({ x, y }, width, height, degrees), SIZE);
        expect(pixels).toHaveLength(SIZE.heightPixels * SIZE.widthPixels * 3);
      }),
      { numRuns: 300 },
    );
  });
});
