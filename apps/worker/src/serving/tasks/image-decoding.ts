import { AppError } from '@weir/kernel';
import sharp from 'sharp';
import type { ImagePreparation } from '../packages/model-package.ts';
import { withoutPngText } from './png-text.ts';

// Foreign bytes meet only the three decoders that are offered; and one call does not take every core.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['VipsForeignLoadPngBuffer', 'VipsForeignLoadJpegBuffer', 'VipsForeignLoadWebpBuffer'] });
sharp.concurrency(1);
sharp.cache(false);

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The format of a picture by its first bytes, or null when it is none that is taken. */
export function imageFormat(bytes: Uint8Array): 'png' | 'jpeg' | 'webp' | null {
  const starts = (text: string, at = 0): boolean =>
    Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.max(0, Math.min(text.length, bytes.length - at))).toString('latin1') === text;
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (bytes.length >= 12 && starts('RIFF') && starts('WEBP', 8)) return 'webp';
  return null;
}

/**
 * Bytes of a picture that was sent in base64.
 *
 * @throws model.image_invalid when it is not base64, or not a PNG, JPEG or WebP file
 */
export function imageBytes(base64: string, title: string): Buffer {
  if (base64.length % 4 === 1 || !BASE64.test(base64)) throw new AppError('model.image_invalid', { message: `${title} is not base64.` });
  const bytes = Buffer.from(base64, 'base64');
  const format = imageFormat(bytes);
  if (format === null) throw new AppError('model.image_invalid', { message: `${title} is not a PNG, JPEG or WebP file.` });
  return format === 'png' ? withoutPngText(bytes) : bytes;
}

/**
 * A picture as the numbers that the model takes: channels first, `channels × height × width`.
 *
 * @throws model.image_invalid when it cannot be read or has more pixels than `maxPixels`
 */
export async function preparedImage(bytes: Buffer, preparation: ImagePreparation, maxPixels: number, title: string): Promise<Float32Array> {
  const { channels, heightPixels, widthPixels } = preparation;
  const tooLarge = (cause?: unknown): AppError =>
    new AppError('model.image_invalid', { message: `${title} has more than ${maxPixels} pixels.`, cause });
  let pixels: Buffer;
  try {
    const source = sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error', pages: 1 });
    const { autoOrient } = await source.metadata();
    const scaled = scaledSize(autoOrient.width, autoOrient.height, preparation);
    // A long thin picture is small until its shorter edge is scaled up.
    if (scaled.width * scaled.height > maxPixels) throw tooLarge();
    pixels = await source
      .autoOrient()
      .flatten({ background: '#ffffff' }) // what is transparent is paper
      .resize(scaled.width, scaled.height, { fit: 'fill', kernel: preparation.kernel })
      .extract({
        left: Math.floor((scaled.width - widthPixels) / 2),
        top: Math.floor((scaled.height - heightPixels) / 2),
        width: widthPixels,
        height: heightPixels,
      })
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer();
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (error instanceof Error && error.message.includes('pixel limit')) throw tooLarge(error);
    throw new AppError('model.image_invalid', { message: `${title} cannot be read: the file is damaged.`, cause: error });
  }
  if (pixels.length !== channels * heightPixels * widthPixels)
    throw new AppError('model.image_invalid', { message: `${title} has colours that are not supported.` });
  return normalised(pixels, preparation);
}

function scaledSize(width: number, height: number, preparation: ImagePreparation): { width: number; height: number } {
  const { shortestEdgePixels, widthPixels, heightPixels } = preparation;
  if (shortestEdgePixels === null) return { width: widthPixels, height: heightPixels };
  const factor = shortestEdgePixels / Math.min(width, height);
  return { width: Math.max(widthPixels, Math.round(width * factor)), height: Math.max(heightPixels, Math.round(height * factor)) };
}

/** Values 0–255 in rows of interleaved channels to scaled, normalised planes; inverted first when the ground is the other one. */
function normalised(pixels: Uint8Array, preparation: ImagePreparation): Float32Array {
  const { channels, heightPixels, widthPixels, background, rescaleFactor, mean, deviation } = preparation;
  const isInverted =
    background !== null && (borderMean(pixels, widthPixels, heightPixels, channels) > 127 ? 'light' : 'dark') !== background;
  const plane = heightPixels * widthPixels;
  const numbers = new Float32Array(channels * plane);
  for (let channel = 0; channel < channels; channel++) {
    const channelMean = mean[channel] ?? 0;
    const channelDeviation = deviation[channel] ?? 1;
    for (let i = 0; i < plane; i++) {
      const value = pixels[i * channels + channel] ?? 0;
      numbers[channel * plane + i] = ((isInverted ? 255 - value : value) * rescaleFactor - channelMean) / channelDeviation;
    }
  }
  return numbers;
}

/** Mean brightness of the outermost pixels: what a drawing stands on. */
export function borderMean(pixels: Uint8Array, width: number, height: number, channels: number): number {
  let sum = 0;
  let count = 0;
  for (let y = 0; y < height; y++) {
    const isEdgeRow = y === 0 || y === height - 1;
    for (let x = 0; x < width; x += isEdgeRow || width === 1 ? 1 : width - 1) {
      for (let channel = 0; channel < channels; channel++) sum += pixels[(y * width + x) * channels + channel] ?? 0;
      count += channels;
    }
  }
  return sum / count;
}
