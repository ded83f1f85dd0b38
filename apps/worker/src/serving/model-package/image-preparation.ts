import type { WeirFile } from '@weir/contracts';
import { z } from 'zod';
import { readRequiredJson, type PackageFiles } from './package-files.ts';

/** How pictures become numbers, from `preprocessor_config.json` and `weir.json`. */
export interface ImagePreparation {
  readonly heightPixels: number;
  readonly widthPixels: number;
  /** Scale until the shorter edge has this length, then cut the middle out; null: scale both edges to the size, as they are. */
  readonly shortestEdgePixels: number | null;
  readonly kernel: 'nearest' | 'lanczos3' | 'linear' | 'cubic';
  readonly channels: 1 | 3;
  /** Order of the channels; `grey` has one. */
  readonly colour: 'grey' | 'rgb' | 'bgr';
  /** Order of the axes of the network's input. */
  readonly layout: 'nchw' | 'nhwc';
  /** Each value 0–255 is multiplied by this. */
  readonly rescaleFactor: number;
  /** Then the mean is taken off and the rest divided by the deviation, per channel in the order of `colour`. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  /** The ground that the model knows; a picture with the other one is inverted. Null: leave it. */
  readonly background: 'dark' | 'light' | null;
}

const edgePixels = z.number().int().min(1).max(4096);
const imageSize = z.union([edgePixels, z.object({ height: edgePixels, width: edgePixels }), z.object({ shortest_edge: edgePixels })]);

const preprocessorSchema = z.looseObject({
  size: imageSize,
  crop_size: imageSize.optional(),
  do_center_crop: z.boolean().default(false),
  resample: z.number().int().default(2),
  do_rescale: z.boolean().default(true),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  do_normalize: z.boolean().default(false),
  image_mean: z.array(z.number()).min(1).max(3).optional(),
  image_std: z.array(z.number().positive()).min(1).max(3).optional(),
});

/** PIL's numbers for how to scale, as `resample` of a preprocessor has them. */
const KERNELS: Readonly<Record<number, ImagePreparation['kernel']>> = { 0: 'nearest', 1: 'lanczos3', 2: 'linear', 3: 'cubic' };

/** @throws model.package_invalid when `preprocessor_config.json` is missing or not valid */
export async function readImagePreparation(files: PackageFiles, weir: WeirFile): Promise<ImagePreparation> {
  const config = await readRequiredJson(files, 'preprocessor_config.json', preprocessorSchema);
  const size = config.do_center_crop && config.crop_size !== undefined ? config.crop_size : config.size;
  const [heightPixels, widthPixels] =
    typeof size === 'number' ? [size, size] : 'height' in size ? [size.height, size.width] : [size.shortest_edge, size.shortest_edge];
  const colour = weir.image?.colour ?? 'rgb';
  const channels = colour === 'grey' ? 1 : 3;
  const perChannel = (values: readonly number[] | undefined, byDefault: number): number[] =>
    Array.from({ length: channels }, (_, channel) => (config.do_normalize ? (values?.[channel] ?? values?.[0] ?? byDefault) : byDefault));
  return {
    heightPixels,
    widthPixels,
    shortestEdgePixels:
      typeof config.size === 'object' && 'shortest_edge' in config.size
        ? Math.max(config.size.shortest_edge, heightPixels, widthPixels)
        : null,
    kernel: KERNELS[config.resample] ?? 'linear',
    channels,
    colour,
    layout: weir.image?.layout ?? 'nchw',
    rescaleFactor: config.do_rescale ? config.rescale_factor : 1,
    mean: perChannel(config.image_mean, 0),
    deviation: perChannel(config.image_std, 1),
    background: weir.image?.background ?? null,
  };
}
