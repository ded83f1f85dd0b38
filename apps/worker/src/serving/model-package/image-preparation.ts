import type { Task, WeirFile } from '@weir/contracts';
import { z } from 'zod';
import { readRequiredJson, type PackageFiles } from './package-files.ts';

/** Edges of a picture in pixels. */
export interface ImageSize {
  readonly heightPixels: number;
  readonly widthPixels: number;
}

/** How a picture is scaled. All but `exact` keep the ratio of its edges. */
export type ImageScaling =
  | ({ readonly kind: 'exact' } & ImageSize)
  /** Until the shorter edge has its length, or the longer one would get longer than allowed. Null: does not matter; one is given. */
  | { readonly kind: 'edges'; readonly shortestEdgePixels: number | null; readonly longestEdgePixels: number | null }
  /** As large as fits. */
  | ({ readonly kind: 'fit' } & ImageSize)
  | { readonly kind: 'original' };

/** How pictures become numbers, from `preprocessor_config.json` and `weir.json`. */
export interface ImagePreparation {
  readonly scaling: ImageScaling;
  /** Then the middle of this size is cut out; null: nothing is cut off. */
  readonly crop: ImageSize | null;
  /** Then it is filled up to this size at the right and at the bottom, with 0 after normalisation; null: it stays as it is. */
  readonly pad: ImageSize | null;
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

/** The size that every picture has after preparation; null where it depends on the picture. */
export function preparedSize({ scaling, crop, pad }: ImagePreparation): ImageSize | null {
  return pad ?? crop ?? (scaling.kind === 'exact' ? scaling : null);
}

const edgePixels = z.number().int().min(1).max(4096);
const exactSize = z.object({ height: edgePixels, width: edgePixels });
const imageSize = z.union([
  edgePixels,
  exactSize,
  z.object({ shortest_edge: edgePixels, longest_edge: edgePixels.optional() }),
  z.object({ longest_edge: edgePixels }),
  z.object({ max_height: edgePixels, max_width: edgePixels }),
]);
type ConfiguredSize = z.infer<typeof imageSize>;

const preprocessorSchema = z.looseObject({
  do_resize: z.boolean().default(true),
  size: imageSize.optional(),
  /** Longest edge beside a `size` that is one number, in old files. */
  max_size: edgePixels.optional(),
  crop_size: imageSize.optional(),
  do_center_crop: z.boolean().default(false),
  do_pad: z.boolean().default(false),
  pad_size: exactSize.nullish(),
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
type Preprocessor = z.infer<typeof preprocessorSchema>;

/** PIL's numbers for how to scale, as `resample` of a preprocessor has them. */
const KERNELS: Readonly<Record<number, ImagePreparation['kernel']>> = { 0: 'nearest', 1: 'lanczos3', 2: 'linear', 3: 'cubic' };

/** @throws model.package_invalid when `preprocessor_config.json` is missing or not valid */
export async function readImagePreparation(files: PackageFiles, weir: WeirFile, task: Task): Promise<ImagePreparation> {
  const config = await readRequiredJson(files, 'preprocessor_config.json', preprocessorSchema);
  const colour = weir.image?.colour ?? 'rgb';
  const channels = colour === 'grey' ? 1 : 3;
  const perChannel = (values: readonly number[] | undefined, byDefault: number): number[] =>
    Array.from({ length: channels }, (_, channel) => (config.do_normalize ? (values?.[channel] ?? values?.[0] ?? byDefault) : byDefault));
  const scaling = scalingOf(config);
  return {
    scaling,
    crop: cropOf(config, scaling, task),
    pad: config.do_pad && config.pad_size ? { heightPixels: config.pad_size.height, widthPixels: config.pad_size.width } : null,
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

function scalingOf({ do_resize: isScaled, size, max_size: longest }: Preprocessor): ImageScaling {
  if (!isScaled || size === undefined) return { kind: 'original' };
  if (typeof size === 'number')
    return longest === undefined
      ? { kind: 'exact', heightPixels: size, widthPixels: size }
      : { kind: 'edges', shortestEdgePixels: size, longestEdgePixels: longest };
  if ('height' in size) return { kind: 'exact', heightPixels: size.height, widthPixels: size.width };
  if ('max_height' in size) return { kind: 'fit', heightPixels: size.max_height, widthPixels: size.max_width };
  return {
    kind: 'edges',
    shortestEdgePixels: 'shortest_edge' in size ? size.shortest_edge : null,
    longestEdgePixels: size.longest_edge ?? null,
  };
}

/** Classifiers look at a square even where the file says no more than the shorter edge. */
function cropOf({ do_center_crop: isCropped, crop_size: cropSize }: Preprocessor, scaling: ImageScaling, task: Task): ImageSize | null {
  if (isCropped && cropSize !== undefined) return squareOf(cropSize);
  if (task !== 'image-classification' || scaling.kind !== 'edges' || scaling.shortestEdgePixels === null) return null;
  return scaling.longestEdgePixels === null ? squareOf(scaling.shortestEdgePixels) : null;
}

function squareOf(size: ConfiguredSize): ImageSize {
  if (typeof size === 'number') return { heightPixels: size, widthPixels: size };
  if ('height' in size) return { heightPixels: size.height, widthPixels: size.width };
  if ('max_height' in size) return { heightPixels: size.max_height, widthPixels: size.max_width };
  const edge = 'shortest_edge' in size ? size.shortest_edge : size.longest_edge;
  return { heightPixels: edge, widthPixels: edge };
}
