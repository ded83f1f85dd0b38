import sharp, { type Sharp } from 'sharp';
import type { ImageSize } from '../../model-package/image-preparation.ts';
import { sizeOf, type Corners } from './text-regions.ts';

/** A picture in memory: rows of red, green and blue, 0–255. */
export interface Pixels extends ImageSize {
  readonly data: Buffer;
}

/** A line that rises or falls by less than this many pixels along its way is cut out as it stands. */
const LEVEL_PIXELS = 1;

/**
 * The part of a picture in which one line of text stands, turned upright and scaled to `size`.
 *
 * @param corners in pixels of the picture, clockwise from the top left corner of the text
 */
export async function linePicture(picture: Pixels, corners: Corners, size: ImageSize): Promise<Buffer> {
  const [start, end] = corners;
  const angle = Math.atan2(end.y - start.y, end.x - start.x);
  const quarters = Math.round(angle / (Math.PI / 2));
  const tilt = angle - quarters * (Math.PI / 2);
  const { width, height } = sizeOf(corners);
  const isLevel = Math.abs(Math.sin(tilt)) * Math.max(width, height) < LEVEL_PIXELS;
  const upright = isLevel
    ? await turnedByQuarters(cutOut(picture, corners), -quarters)
    : await turned(picture, corners, -angle, { widthPixels: Math.round(width), heightPixels: Math.round(height) });
  return upright.resize(size.widthPixels, size.heightPixels, { fit: 'fill', kernel: 'cubic' }).raw().toBuffer();
}

/** The part of the picture that the corners span, without what of it lies outside. */
function cutOut(picture: Pixels, corners: Corners): Sharp {
  const [left, right] = within(
    corners.map(({ x }) => x),
    picture.widthPixels,
  );
  const [top, bottom] = within(
    corners.map(({ y }) => y),
    picture.heightPixels,
  );
  return ofPixels(picture).extract({ left, top, width: right - left, height: bottom - top });
}

async function turnedByQuarters(part: Sharp, quarters: number): Promise<Sharp> {
  if (quarters === 0) return part;
  // In one go sharp would turn first and cut then.
  const { data, info } = await part.raw().toBuffer({ resolveWithObject: true });
  return ofPixels({ data, widthPixels: info.width, heightPixels: info.height }).rotate(90 * quarters);
}

/** Where an edge of a part begins and ends: at least one pixel, at most all that there are. */
function within(positions: readonly number[], pixels: number): [number, number] {
  const from = Math.min(pixels - 1, Math.max(0, Math.round(Math.min(...positions))));
  return [from, Math.max(from + 1, Math.min(pixels, Math.round(Math.max(...positions))))];
}

/** The middle, of this size, of the part that the corners span, turned by an angle in radians (clockwise). */
async function turned(picture: Pixels, corners: Corners, angle: number, { widthPixels, heightPixels }: ImageSize): Promise<Sharp> {
  const part = await spanned(picture, corners);
  const { data, info } = await part.rotate((angle * 180) / Math.PI, { background: '#ffffff' }).toBuffer({ resolveWithObject: true });
  const width = Math.min(info.width, Math.max(1, widthPixels));
  const height = Math.min(info.height, Math.max(1, heightPixels));
  return ofPixels({ data, widthPixels: info.width, heightPixels: info.height }).extract({
    left: Math.floor((info.width - width) / 2),
    top: Math.floor((info.height - height) / 2),
    width,
    height,
  });
}

/** The whole part that the corners span: where it reaches beyond the picture, the picture's edge goes on. */
async function spanned(picture: Pixels, corners: Corners): Promise<Sharp> {
  const xs = corners.map(({ x }) => x);
  const ys = corners.map(({ y }) => y);
  const beyond = {
    left: Math.max(0, -Math.floor(Math.min(...xs))),
    right: Math.max(0, Math.ceil(Math.max(...xs)) - picture.widthPixels),
    top: Math.max(0, -Math.floor(Math.min(...ys))),
    bottom: Math.max(0, Math.ceil(Math.max(...ys)) - picture.heightPixels),
  };
  const inside = cutOut(picture, corners);
  if (Object.values(beyond).every((pixels) => pixels === 0)) return inside.raw();
  const { data, info } = await inside
    .extend({ ...beyond, extendWith: 'copy' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return ofPixels({ data, widthPixels: info.width, heightPixels: info.height }).raw();
}

export function ofPixels({ data, widthPixels, heightPixels }: Pixels): Sharp {
  return sharp(data, { raw: { width: widthPixels, height: heightPixels, channels: 3 } });
}
