import type { ImagePreparation, ImageSize } from '../../model-package/image-preparation.ts';
import type { Turns } from '../turns.ts';

/** How the values of pixels become the numbers of a network's input. */
export type PixelNumbers = Pick<ImagePreparation, 'channels' | 'colour' | 'layout' | 'rescaleFactor' | 'mean' | 'deviation'>;

/**
 * Values 0–255 in rows of interleaved channels (red first) to scaled, normalised numbers.
 *
 * @param content size of the picture
 * @param size of the input; what the picture does not fill is 0
 * @param isInverted dark becomes bright first
 */
export async function numbersOfPixels(
  pixels: Uint8Array,
  content: ImageSize,
  size: ImageSize,
  how: PixelNumbers,
  isInverted: boolean,
  turns: Turns,
): Promise<Float32Array> {
  const { channels, layout } = how;
  const { widthPixels, heightPixels } = content;
  const tables = channelTables(how, isInverted);
  const numbers = new Float32Array(channels * size.heightPixels * size.widthPixels);
  const [pixelStep, channelStep] = layout === 'nchw' ? [1, size.heightPixels * size.widthPixels] : [channels, 1];
  for (let y = 0; y < heightPixels; y++) {
    if (turns.isOver) await turns.next();
    for (const [channel, { source, values }] of tables.entries()) {
      let from = y * widthPixels * channels + source;
      let to = y * size.widthPixels * pixelStep + channel * channelStep;
      for (let x = 0; x < widthPixels; x++, from += channels, to += pixelStep) numbers[to] = values[pixels[from] ?? 0] ?? 0;
    }
  }
  return numbers;
}

/** For each channel of the input: where it stands in a pixel, and the number that each value becomes. */
function channelTables(
  { channels, colour, rescaleFactor, mean, deviation }: PixelNumbers,
  isInverted: boolean,
): { readonly source: number; readonly values: Float32Array }[] {
  return Array.from({ length: channels }, (_, channel) => ({
    source: colour === 'bgr' ? channels - 1 - channel : channel,
    values: Float32Array.from({ length: 256 }, (_unused, value) => {
      const brightness = isInverted ? 255 - value : value;
      return (brightness * rescaleFactor - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
    }),
  }));
}
