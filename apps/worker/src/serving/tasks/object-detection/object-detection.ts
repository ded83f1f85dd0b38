import { AppError } from '@weir/kernel';
import { BOX_OUTPUT, COUNT_OUTPUT, LABEL_OUTPUT, SCORE_OUTPUT, type Tensor } from '@weir/open-inference';
import type { ImagePreparation, ImageSize } from '../../model-package/image-preparation.ts';
import { MODEL, type ModelPackage } from '../../model-package/model-package.ts';
import type { OnnxTensor } from '../../runtime/messages.ts';
import { forEachPicture } from '../images/image-items.ts';
import { imageFeed, imageInput, picturesAtOnce, preparationOf } from '../images/image-run.ts';
import { prepareImage, type PreparedImage } from '../images/prepared-image.ts';
import { numbersOf, runPrepared } from '../prepared-run.ts';
import { numberParameter } from '../processed-input.ts';
import { describeTensor, signatureOfRole, type Signature, type SignatureTensor } from '../signature.ts';
import { defineTask } from '../task-definition.ts';
import { ONE_INPUT, type TaskAnswer, type TaskCall } from '../task.ts';
import type { Turns } from '../turns.ts';
import { anchorLayout, detectionsOfAnchors } from './anchors.ts';
import { best, MAX_DETECTIONS, withoutDuplicates, type Detection } from './boxes.ts';
import { detectionsOfQueries } from './set-prediction.ts';

/** Says which pixels of the input are the picture; DETR's exports have it. */
const MASK_INPUT = 'pixel_mask';
const LOGITS = 'logits';
const BOXES = 'pred_boxes';

const DEFAULT_THRESHOLD = 0.5;
const DEFAULT_OVERLAP = 0.5;

interface Detector {
  readonly preparation: ImagePreparation;
  readonly input: SignatureTensor;
  readonly mask: SignatureTensor | null;
  /** Names of what it gives: queries of DETR's kind, or boxes of YOLO's. */
  readonly outputs: { readonly kind: 'queries' } | { readonly kind: 'anchors'; readonly name: string };
}

/** Pictures in, things with their boxes out. */
export const objectDetection = defineTask({
  assertFits: (modelPackage, signatures) => {
    detectorOf(modelPackage, signatures);
  },
  prepare: detectorOf,
  infer: detectObjects,
});

function detectorOf(modelPackage: ModelPackage, signatures: ReadonlyMap<string, Signature>): Detector {
  const { inputs, outputs } = signatureOfRole(signatures, MODEL);
  const preparation = preparationOf(modelPackage);
  const mask = inputs.find(({ name, datatype, dims }) => name === MASK_INPUT && datatype === 'INT64' && dims.length === 3) ?? null;
  const input = imageInput(
    inputs.filter((candidate) => candidate !== mask),
    preparation,
  );
  return { preparation, input, mask, outputs: outputsOf(outputs, modelPackage.labels.length) };
}

function outputsOf(outputs: Signature['outputs'], labelCount: number): Detector['outputs'] {
  const hasNumbers = ({ datatype }: SignatureTensor): boolean => datatype === 'FP32' || datatype === 'FP16';
  if ([LOGITS, BOXES].every((name) => outputs.some((output) => output.name === name && output.dims.length === 3 && hasNumbers(output))))
    return { kind: 'queries' };
  const [only, ...others] = outputs;
  const sizes = only?.dims.map((size) => (typeof size === 'number' ? size : null)) ?? [];
  const isOpen = sizes.slice(1).includes(null);
  const fits = sizes.length === 3 && (isOpen || anchorLayout(sizes.map(Number), labelCount) !== null);
  if (only !== undefined && others.length === 0 && hasNumbers(only) && fits) return { kind: 'anchors', name: only.name };
  throw new AppError('model.package_invalid', {
    message: `The model does not fit its task object-detection: it needs the outputs "${LOGITS}" and "${BOXES}", or one output [batch, 4 + labels, boxes], [batch, boxes, 5 + labels] or [batch, boxes, 6] for ${labelCount} labels; there is ${outputs.map(describeTensor).join(', ')}.`,
  });
}

async function detectObjects(call: TaskCall, detector: Detector): Promise<TaskAnswer> {
  const { labels, weir } = call.version.modelPackage;
  const { threshold: byDefault = DEFAULT_THRESHOLD, overlap = DEFAULT_OVERLAP } = weir.detection ?? {};
  const threshold = numberParameter(call.request.parameters, 'threshold', { minimum: 0, maximum: 1, byDefault });
  const pictures = await forEachPicture(call, picturesAtOnce(detector.preparation), async (file, turns) => {
    const picture = await prepareImage(file, detector.preparation, call, turns);
    const found = await detectionsIn(call, detector, picture, { threshold, overlap }, turns);
    return found.map((detection) => inOriginal(detection, picture)).filter(({ left, top, right, bottom }) => left < right && top < bottom);
  });
  return { outputs: answerOf(pictures, labels), usage: { inputs: pictures.length, 'input-tokens': 0 } };
}

/** What a network finds in one picture, best first, in pixels of its input. */
async function detectionsIn(
  call: TaskCall,
  { input, mask, outputs }: Detector,
  picture: PreparedImage,
  { threshold, overlap }: { readonly threshold: number; readonly overlap: number },
  turns: Turns,
): Promise<Detection[]> {
  const labelCount = call.version.modelPackage.labels.length;
  const feeds = [imageFeed(input, picture), ...(mask === null ? [] : [maskFeed(mask, picture)])];
  if (outputs.kind === 'queries') {
    const [logits, boxes] = await runPrepared(call, { network: MODEL, feeds, outputs: [LOGITS, BOXES], usage: ONE_INPUT });
    const scores = numbersOf(logits, [1, null, null]);
    // A network that knows which part is the picture speaks of that part, any other of all that it was given.
    const size: ImageSize = mask === null ? picture : picture.content;
    const places = numbersOf(boxes, [1, scores.dims[1] ?? null, 4]);
    return best(await detectionsOfQueries(scores, places, labelCount, threshold, size, turns), MAX_DETECTIONS);
  }
  const [output] = await runPrepared(call, { network: MODEL, feeds, outputs: [outputs.name], usage: ONE_INPUT });
  const { detections, layout } = await detectionsOfAnchors(numbersOf(output, [1, null, null]), labelCount, threshold, turns);
  return layout.kind === 'final' ? best(detections, MAX_DETECTIONS) : withoutDuplicates(detections, overlap, turns);
}

/** 1 where the input is the picture. Exports with a mask of a fixed size scale it to that of their features. */
function maskFeed({ name, dims }: SignatureTensor, { content, heightPixels, widthPixels }: PreparedImage): OnnxTensor {
  const [, height = heightPixels, width = widthPixels] = dims.map((size) => (typeof size === 'number' ? size : undefined));
  const rows = (content.heightPixels * height) / heightPixels;
  const columns = (content.widthPixels * width) / widthPixels;
  const data = new BigInt64Array(height * width);
  for (let y = 0; y < rows; y++) data.fill(1n, y * width, y * width + Math.ceil(columns));
  return { name, type: 'int64', dims: [1, height, width], data };
}

/** The same box in pixels of the upright picture, without what of it lies outside. */
function inOriginal(detection: Detection, { toOriginal, original }: PreparedImage): Detection {
  const along = ({ offset, factor }: PreparedImage['toOriginal']['x'], position: number, edge: number): number =>
    Math.min(edge, Math.max(0, (position + offset) * factor));
  return {
    ...detection,
    left: along(toOriginal.x, detection.left, original.widthPixels),
    top: along(toOriginal.y, detection.top, original.heightPixels),
    right: along(toOriginal.x, detection.right, original.widthPixels),
    bottom: along(toOriginal.y, detection.bottom, original.heightPixels),
  };
}

function answerOf(pictures: readonly (readonly Detection[])[], labels: readonly string[]): Tensor[] {
  const most = Math.max(...pictures.map((detections) => detections.length));
  const names: string[] = [];
  const scores = new Float32Array(pictures.length * most);
  const boxes = new Float32Array(pictures.length * most * 4);
  for (const [picture, detections] of pictures.entries()) {
    for (let rank = 0; rank < most; rank++) {
      const place = picture * most + rank;
      const detection = detections[rank];
      names.push(detection === undefined ? '' : (labels[detection.label] ?? `LABEL_${detection.label}`));
      if (detection === undefined) continue;
      scores[place] = detection.score;
      boxes.set([detection.left, detection.top, detection.right, detection.bottom], place * 4);
    }
  }
  const shape = [pictures.length, most];
  return [
    { name: LABEL_OUTPUT, datatype: 'BYTES', shape, data: names },
    { name: SCORE_OUTPUT, datatype: 'FP32', shape, data: scores },
    { name: BOX_OUTPUT, datatype: 'FP32', shape: [...shape, 4], data: boxes },
    { name: COUNT_OUTPUT, datatype: 'INT32', shape: [pictures.length], data: Int32Array.from(pictures, (found) => found.length) },
  ];
}
