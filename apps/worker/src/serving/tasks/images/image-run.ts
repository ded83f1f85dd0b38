import { AppError } from '@weir/kernel';
import { toHalfBits } from '@weir/open-inference';
import { preparedSize, type ImagePreparation } from '../../model-package/image-preparation.ts';
import type { ModelPackage } from '../../model-package/model-package.ts';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { describeTensor, type Signature, type SignatureTensor } from '../signature.ts';
import type { PreparedImage } from './prepared-image.ts';

/** Bytes of prepared pictures that one call may hold at a time, and pictures: more than the decoder has threads, enough for a batch. */
const MAX_PREPARED_BYTES = 64 * 1_048_576;
const MAX_PICTURES = 32;
/** Pictures of one call that are under way at a time where their size is not known before. */
const FEW_PICTURES = 4;

/** How a package prepares pictures: it is read for every task that looks at them. */
export function preparationOf({ image }: ModelPackage): ImagePreparation {
  if (image === null) throw new AppError('model.package_invalid', { message: 'The package does not say how pictures are prepared.' });
  return image;
}

/**
 * The input of a network that takes one picture a row.
 *
 * @param inputs that other things than the picture do not fill
 * @throws model.package_invalid when there is another number of them, or the picture does not fit
 */
export function imageInput(inputs: Signature['inputs'], preparation: ImagePreparation): SignatureTensor {
  const [input, ...others] = inputs;
  const { channels, layout } = preparation;
  const size = preparedSize(preparation);
  const { heightPixels = null, widthPixels = null } = size ?? {};
  const dims = layout === 'nchw' ? [channels, heightPixels, widthPixels] : [heightPixels, widthPixels, channels];
  const fits =
    input !== undefined &&
    others.length === 0 &&
    (input.datatype === 'FP32' || input.datatype === 'FP16') &&
    input.dims.length === 4 &&
    (typeof input.dims[0] !== 'number' || input.dims[0] === 1) &&
    dims.every((needed, index) => typeof input.dims[index + 1] !== 'number' || input.dims[index + 1] === needed);
  if (fits) return input;
  throw new AppError('model.package_invalid', {
    message: `The model does not fit its preparation of pictures: one input FP32 [batch, ${dims.map((edge) => edge ?? 'any').join(', ')}] is needed, there is ${inputs.map(describeTensor).join(', ')}.`,
  });
}

/** One picture as a row of a network's input. */
export function imageFeed({ name, datatype }: SignatureTensor, { numbers, dims }: PreparedImage): OnnxTensor {
  const shape = [1, ...dims];
  return datatype === 'FP16'
    ? { name, type: 'float16', dims: shape, data: toHalfBits(numbers) }
    : { name, type: 'float32', dims: shape, data: numbers };
}

/** How many pictures of one call are prepared and run at a time. */
export function picturesAtOnce(preparation: ImagePreparation): number {
  const size = preparedSize(preparation);
  if (size === null) return FEW_PICTURES;
  const bytes = size.heightPixels * size.widthPixels * preparation.channels * Float32Array.BYTES_PER_ELEMENT;
  return Math.min(MAX_PICTURES, Math.max(1, Math.floor(MAX_PREPARED_BYTES / bytes)));
}
