import type { ImagePreparation, ImageSize } from '../../model-package/image-preparation.ts';
import type { TaskCall } from '../task.ts';
import type { Turns } from '../turns.ts';
import { numbersOfPixels } from './pixel-numbers.ts';
import { decoding, openPicture, pictureError, tooManyPixels, type PictureFile } from './picture-file.ts';

/** A picture as the numbers that a network takes, and where in them it stands. */
export interface PreparedImage {
  /** `[channels, height, width]` or `[height, width, channels]`, as the preparation says. */
  readonly numbers: Float32Array;
  readonly dims: readonly [number, number, number];
  /** Of the input, with what it was filled up with. */
  readonly heightPixels: number;
  readonly widthPixels: number;
  /** The part of it that the picture takes up, from the top left corner. */
  readonly content: ImageSize;
  /** The upright picture as it came. */
  readonly original: ImageSize;
  /** How a position in the input becomes one in the upright picture: (position + offset) × factor. */
  readonly toOriginal: { readonly x: AxisMapping; readonly y: AxisMapping };
}

interface AxisMapping {
  readonly offset: number;
  readonly factor: number;
}

/**
 * Decodes a picture, scales, cuts and fills it up, and makes numbers of it.
 *
 * @throws model.image_invalid when it cannot be read, or has too many pixels as it is or scaled
 */
export async function prepareImage(
  file: PictureFile,
  preparation: ImagePreparation,
  call: Pick<TaskCall, 'limits'>,
  turns: Turns,
): Promise<PreparedImage> {
  const { maxImagePixels } = call.limits;
  const picture = await openPicture(file, call);
  // Many small pictures come out of the decoder at the same moment.
  if (turns.isOver) await turns.next();
  const original = { heightPixels: picture.heightPixels, widthPixels: picture.widthPixels };
  const scaled = scaledSize(original, preparation);
  // A long thin picture is small until its shorter edge is scaled up.
  if (scaled.widthPixels * scaled.heightPixels > maxImagePixels) throw tooManyPixels(file.index, maxImagePixels);
  const content = preparation.crop ?? scaled;
  const left = Math.floor((scaled.widthPixels - content.widthPixels) / 2);
  const top = Math.floor((scaled.heightPixels - content.heightPixels) / 2);
  const pixels = await decoding(
    picture.source
      .resize(scaled.widthPixels, scaled.heightPixels, { fit: 'fill', kernel: preparation.kernel })
      .extract({ left, top, width: content.widthPixels, height: content.heightPixels })
      .toColourspace(preparation.channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer(),
    file.index,
    maxImagePixels,
  );
  if (pixels.length !== preparation.channels * content.heightPixels * content.widthPixels)
    throw pictureError(file.index, 'has colours that are not supported.');
  const size = {
    heightPixels: Math.max(content.heightPixels, preparation.pad?.heightPixels ?? 0),
    widthPixels: Math.max(content.widthPixels, preparation.pad?.widthPixels ?? 0),
  };
  const { background, channels } = preparation;
  const isInverted =
    background !== null &&
    (borderMean(pixels, content.widthPixels, content.heightPixels, channels) > 127 ? 'light' : 'dark') !== background;
  return {
    ...size,
    numbers: await numbersOfPixels(pixels, content, size, preparation, isInverted, turns),
    dims:
      preparation.layout === 'nchw'
        ? [preparation.channels, size.heightPixels, size.widthPixels]
        : [size.heightPixels, size.widthPixels, preparation.channels],
    content,
    original,
    toOriginal: {
      x: { offset: left, factor: original.widthPixels / scaled.widthPixels },
      y: { offset: top, factor: original.heightPixels / scaled.heightPixels },
    },
  };
}

/** What a picture is scaled to before anything is cut off: never smaller than what is cut out. */
export function scaledSize({ widthPixels, heightPixels }: ImageSize, { scaling, crop }: ImagePreparation): ImageSize {
  if (scaling.kind === 'exact') return atLeast(scaling.widthPixels, scaling.heightPixels);
  const factor = scaleFactor();
  return atLeast(Math.round(widthPixels * factor), Math.round(heightPixels * factor));

  function scaleFactor(): number {
    switch (scaling.kind) {
      case 'edges':
        return Math.min(
          (scaling.shortestEdgePixels ?? Infinity) / Math.min(widthPixels, heightPixels),
          (scaling.longestEdgePixels ?? Infinity) / Math.max(widthPixels, heightPixels),
        );
      case 'fit':
        return Math.min(scaling.widthPixels / widthPixels, scaling.heightPixels / heightPixels);
      default:
        return 1;
    }
  }

  function atLeast(width: number, height: number): ImageSize {
    return { widthPixels: Math.max(1, crop?.widthPixels ?? 0, width), heightPixels: Math.max(1, crop?.heightPixels ?? 0, height) };
  }
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
