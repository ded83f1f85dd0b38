import { AppError } from '@weir/kernel';
import type { BytesElement } from '@weir/open-inference';
import sharp, { type Sharp } from 'sharp';
import { bytesOfItem } from '../binary-items.ts';
import { itemField } from '../processed-input.ts';
import type { TaskCall } from '../task.ts';
import type { Turns } from '../turns.ts';
import { isAnimatedPng, withoutPngText } from './png-chunks.ts';

// Foreign bytes meet only the three decoders that are offered; and one call does not take every core.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadPngBuffer', 'VipsForeignLoadJpegBuffer', 'VipsForeignLoadWebpBuffer'] });
sharp.concurrency(1);
sharp.cache(false);

/** A picture of a request, and what is said about it when it cannot be used. */
export interface PictureFile {
  /** A PNG, JPEG or WebP file by its first bytes. */
  readonly bytes: Buffer;
  /** Position among the items of the call. */
  readonly index: number;
}

/** The error of a picture that cannot be used; `problem` continues "image 3 …". */
export function pictureError(index: number, problem: string, cause?: unknown): AppError {
  return new AppError('model.image_invalid', { field: itemField(index), message: `image ${index} ${problem}`, cause });
}

/**
 * One item of the input `image`: base64 where it came in JSON, the file as it is where it came as bytes.
 *
 * @throws model.image_invalid when it is not base64, not a PNG, JPEG or WebP file, or an animated one
 */
export async function pictureFile(item: BytesElement, index: number, turns: Turns): Promise<PictureFile> {
  const bytes = await bytesOfItem(item, turns);
  if (bytes === null) throw pictureError(index, 'is not base64.');
  const format = pictureFormat(bytes);
  if (format === null) throw pictureError(index, 'is not a PNG, JPEG or WebP file.');
  if (format !== 'png') return { bytes, index };
  if (isAnimatedPng(bytes)) throw animated(index);
  return { bytes: withoutPngText(bytes), index };
}

/** The format of a picture by its first bytes, or null when it is none that is taken. */
export function pictureFormat(bytes: Buffer): 'png' | 'jpeg' | 'webp' | null {
  const starts = (text: string, at = 0): boolean => bytes.toString('latin1', at, at + text.length) === text;
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('RIFF') && starts('WEBP', 8)) return 'webp';
  return null;
}

function animated(index: number): AppError {
  return pictureError(index, 'is animated: send one picture.');
}

/** A picture that was looked at, and is not decoded yet. */
export interface Picture {
  readonly index: number;
  /** Upright, on white where it is transparent. Each use decodes it anew. */
  readonly source: Sharp;
  /** Upright. */
  readonly widthPixels: number;
  readonly heightPixels: number;
}

/**
 * Reads the head of a picture.
 *
 * @throws model.image_invalid when it has more pixels than the call's limits allow, more than one frame, or is damaged
 */
export async function openPicture({ bytes, index }: PictureFile, { limits }: Pick<TaskCall, 'limits'>): Promise<Picture> {
  const source = sharp(bytes, { limitInputPixels: limits.maxImagePixels, failOn: 'error' });
  const { autoOrient, pages = 1 } = await decoding(source.metadata(), index, limits.maxImagePixels);
  if (pages > 1) throw animated(index);
  // What is transparent is paper.
  const upright = source.autoOrient().flatten({ background: '#ffffff' });
  return { index, source: upright, widthPixels: autoOrient.width, heightPixels: autoOrient.height };
}

/** A picture that is larger than allowed, or would be when it is scaled. */
export function tooManyPixels(index: number, maxPixels: number, cause?: unknown): AppError {
  return pictureError(index, `has more than ${maxPixels} pixels.`, cause);
}

/**
 * What libvips makes of a picture, with its errors said in our words.
 *
 * @throws model.image_invalid when it has too many pixels or is damaged
 */
export async function decoding<T>(work: Promise<T>, index: number, maxPixels: number): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && error.message.includes('pixel limit')) throw tooManyPixels(index, maxPixels, error);
    throw pictureError(index, 'cannot be read: the file is damaged.', error);
  }
}
