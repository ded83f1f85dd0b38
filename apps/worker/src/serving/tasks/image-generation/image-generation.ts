import { AppError } from '@weir/kernel';
import { elementCount, formatShape, IMAGE_OUTPUT, SEED_INPUT, toHalfBits } from '@weir/open-inference';
import pMap from 'p-map';
import sharp from 'sharp';
import { MODEL, type ModelPackage } from '../../model-package/model-package.ts';
import { invalidFile } from '../../model-package/package-files.ts';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { failed, numbersOf, runPrepared, type OutputNumbers } from '../prepared-run.ts';
import { assertItemCount, processedInput } from '../processed-input.ts';
import { describeTensor, signatureOfRole, type Signature, type SignatureTensor } from '../signature.ts';
import { defineTask } from '../task-definition.ts';
import { ONE_INPUT, type TaskAnswer, type TaskCall } from '../task.ts';
import { Turns } from '../turns.ts';
import { normalNumbers } from './normal-numbers.ts';

/** Pictures of one call that are drawn at a time. */
const PICTURES_AT_ONCE = 8;
/** Grey, colours, colours with transparency. */
const CHANNELS: ReadonlySet<number> = new Set([1, 3, 4]);

interface Drawing {
  readonly latentSize: number;
  /** What the decoder's numbers mean: the least and the greatest brightness. */
  readonly range: readonly [number, number];
  readonly input: SignatureTensor;
  /** Of one latent, as the decoder wants it. */
  readonly latentDims: readonly number[];
  readonly output: string;
  readonly layout: 'nchw' | 'nhwc' | null;
}

/** A number or a latent in, a PNG file out. */
export const imageGeneration = defineTask({
  assertFits: (modelPackage, signatures) => {
    drawingOf(modelPackage, signatures);
  },
  prepare: drawingOf,
  infer: drawPictures,
});

function drawingOf({ weir }: ModelPackage, signatures: ReadonlyMap<string, Signature>): Drawing {
  const { generation } = weir;
  if (generation === undefined) throw invalidFile('weir.json', 'needs the section "generation" for the task image-generation');
  const { latentSize, range } = generation;
  if (!(range[0] < range[1])) throw invalidFile('weir.json', 'generation.range: the least brightness comes first');
  const { inputs, outputs } = signatureOfRole(signatures, MODEL);
  const [input, ...otherInputs] = inputs;
  const [output, ...otherOutputs] = outputs;
  const latentDims = input === undefined ? null : dimsOfLatent(input, latentSize);
  const hasNumbers = (tensor: SignatureTensor | undefined): boolean => tensor?.datatype === 'FP32' || tensor?.datatype === 'FP16';
  if (
    input === undefined ||
    output === undefined ||
    latentDims === null ||
    otherInputs.length + otherOutputs.length > 0 ||
    !hasNumbers(input) ||
    !hasNumbers(output) ||
    output.dims.length !== 4
  )
    throw new AppError('model.package_invalid', {
      message: `The model does not fit its task image-generation: one input FP32 [batch, …] of ${latentSize} numbers and one output FP32 [batch, channels, height, width] or [batch, height, width, channels] are needed, there is ${[...inputs, ...outputs].map(describeTensor).join(', ')}.`,
    });
  return { latentSize, range, input, latentDims, output: output.name, layout: weir.image?.layout ?? null };
}

/** The axes of one latent; one that is open has the size that the others leave. Null when they do not fit. */
function dimsOfLatent({ dims: [batch, ...dims] }: SignatureTensor, latentSize: number): readonly number[] | null {
  if (batch === undefined || (typeof batch === 'number' && batch !== 1)) return null;
  const fixed = elementCount(dims.map((size) => (typeof size === 'number' ? size : 1)));
  const open = dims.filter((size) => typeof size !== 'number').length;
  if (open > 1 || latentSize % fixed !== 0 || (open === 0 && fixed !== latentSize)) return null;
  return dims.map((size) => (typeof size === 'number' ? size : latentSize / fixed));
}

async function drawPictures(call: TaskCall, drawing: Drawing): Promise<TaskAnswer> {
  const turns = new Turns(call.signal);
  const latents = await latentsOf(call, drawing, turns);
  const files = await pMap(latents, (latent) => drawPicture(call, drawing, latent, turns), {
    concurrency: PICTURES_AT_ONCE,
    signal: call.signal,
  });
  return {
    outputs: [{ name: IMAGE_OUTPUT, datatype: 'BYTES', shape: [files.length], data: files }],
    usage: { inputs: files.length, 'input-tokens': 0 },
  };
}

/** One latent for each seed or each row of the request. */
async function latentsOf(call: TaskCall, { latentSize }: Drawing, turns: Turns): Promise<Float32Array[]> {
  const { name, shape, data } = processedInput(call);
  const [items = 0, size] = shape;
  const isSeed = name === SEED_INPUT;
  const wanted = isSeed ? '[n]' : `[n, ${latentSize}]`;
  if (items < 1 || (isSeed ? shape.length !== 1 : shape.length !== 2 || size !== latentSize))
    throw new AppError('model.input_invalid', {
      field: 'inputs[0].shape',
      message: `input ${JSON.stringify(name)}: expected shape ${wanted} with n of at least 1, got ${formatShape(shape)}`,
    });
  assertItemCount(items, call.limits.maxItems);
  const latents: Float32Array[] = [];
  for (let item = 0; item < items; item++) {
    if (data instanceof BigInt64Array) latents.push(await drawn(data[item] ?? 0n, latentSize, turns));
    else if (data instanceof Float32Array) latents.push(given(data.slice(item * latentSize, (item + 1) * latentSize), item));
  }
  return latents;
}

async function drawn(seed: bigint, latentSize: number, turns: Turns): Promise<Float32Array> {
  const next = normalNumbers(seed);
  const latent = new Float32Array(latentSize);
  for (let index = 0; index < latentSize; index++) {
    if (index % 256 === 0 && turns.isOver) await turns.next();
    latent[index] = next();
  }
  return latent;
}

function given(latent: Float32Array, item: number): Float32Array {
  if (latent.every(Number.isFinite)) return latent;
  throw new AppError('model.input_invalid', {
    field: 'inputs[0].data',
    message: `input "latent": row ${item} holds something that is no number`,
  });
}

async function drawPicture(call: TaskCall, drawing: Drawing, latent: Float32Array, turns: Turns): Promise<Buffer> {
  const { input, latentDims, output } = drawing;
  const shape = { name: input.name, dims: [1, ...latentDims] };
  const feed: OnnxTensor =
    input.datatype === 'FP16' ? { ...shape, type: 'float16', data: toHalfBits(latent) } : { ...shape, type: 'float32', data: latent };
  const [picture] = await runPrepared(call, { network: MODEL, feeds: [feed], outputs: [output], usage: ONE_INPUT });
  const numbers = numbersOf(picture, [1, null, null, null]);
  const size = pictureSize(numbers.dims, drawing.layout);
  if (size === null) throw failed(`it gave ${formatShape(numbers.dims)}, which has no axis of 1, 3 or 4 colours`);
  if (size.height * size.width > call.limits.maxImagePixels)
    throw failed(`it gave a picture of more than ${call.limits.maxImagePixels} pixels`);
  const pixels = await pixelsOf(numbers, size, drawing.range, turns);
  const { width, height, channels } = size;
  const file = sharp(pixels, { raw: { width, height, channels } });
  return (channels === 1 ? file.toColourspace('b-w') : file).png().toBuffer();
}

interface PictureSize {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  /** How far apart two neighbours in a row are, and two colours of a pixel. */
  readonly pixelStep: number;
  readonly channelStep: number;
}

/** What the axes of a picture are; where the package does not say it, the axis of 1, 3 or 4 is that of the colours. */
function pictureSize([, a = 0, b = 0, c = 0]: readonly number[], layout: Drawing['layout']): PictureSize | null {
  const isFirst = layout === null ? CHANNELS.has(a) : layout === 'nchw';
  const [channels, height, width] = isFirst ? [a, b, c] : [c, a, b];
  if ((channels !== 1 && channels !== 3 && channels !== 4) || height < 1 || width < 1) return null;
  return { width, height, channels, pixelStep: isFirst ? 1 : channels, channelStep: isFirst ? height * width : 1 };
}

/** Rows of interleaved colours, 0–255. */
async function pixelsOf({ data }: OutputNumbers, size: PictureSize, [least, greatest]: Drawing['range'], turns: Turns): Promise<Buffer> {
  const { width, height, channels, pixelStep, channelStep } = size;
  const pixels = new Uint8ClampedArray(width * height * channels);
  const factor = 255 / (greatest - least);
  for (let y = 0, to = 0; y < height; y++) {
    if (turns.isOver) await turns.next();
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * pixelStep;
      for (let channel = 0; channel < channels; channel++) pixels[to++] = ((data[from + channel * channelStep] ?? 0) - least) * factor;
    }
  }
  return Buffer.from(pixels.buffer);
}
