import { readFile } from 'node:fs/promises';
import { AppError } from '@weir/kernel';
import { COUNT_OUTPUT, formatShape, POLYGON_OUTPUT, SCORE_OUTPUT, TEXT_OUTPUT, type Tensor } from '@weir/open-inference';
import pMap from 'p-map';
import type { ImageSize } from '../../model-package/image-preparation.ts';
import type { ModelPackage } from '../../model-package/model-package.ts';
import { invalidFile, pathOf } from '../../model-package/package-files.ts';
import { forEachPicture } from '../images/image-items.ts';
import { decoding, openPicture, pictureError, type PictureFile } from '../images/picture-file.ts';
import { numbersOfPixels, type PixelNumbers } from '../images/pixel-numbers.ts';
import { failed, numbersOf, runPrepared } from '../prepared-run.ts';
import { numberParameter } from '../processed-input.ts';
import { describeTensor, signatureOfRole, type Signature, type SignatureTensor } from '../signature.ts';
import { defineTask } from '../task-definition.ts';
import { ONE_INPUT, type TaskAnswer, type TaskCall } from '../task.ts';
import type { Turns } from '../turns.ts';
import { greedyText } from './ctc.ts';
import { linePicture, ofPixels, type Pixels } from './line-pictures.ts';
import { inReadingOrder, sizeOf, textRegions, upsideDown, type Corners, type Point, type TextRegion } from './text-regions.ts';

/** Roles of the two networks. */
const DETECTOR = 'detector';
const RECOGNISER = 'recogniser';

/** The detector's map is coarser than its input by this: edges are multiples of it. */
const DETECTOR_STRIDE = 32;
/** What PaddleOCR's networks were trained with. Blue comes first, as OpenCV has it, unless the package says otherwise. */
const DETECTOR_NUMBERS: PixelNumbers = {
  channels: 3,
  colour: 'bgr',
  layout: 'nchw',
  rescaleFactor: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
};
const RECOGNISER_NUMBERS: PixelNumbers = { ...DETECTOR_NUMBERS, mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5] };

const LINE_HEIGHT_PIXELS = 48;
/** Widths are multiples of this, filled up with grey, so that lines of about one width have one. */
const LINE_WIDTH_STEP_PIXELS = 32;
/** A line that is longer for its height is squeezed. */
const MAX_LINE_WIDTH_PIXELS = 3_200;
/** Lines of a picture that are with the recogniser at a time. */
const LINES_AT_ONCE = 16;
/** A line that is read with less certainty is read upside down as well; the more certain one counts. */
const CERTAIN_SCORE = 0.85;
/** Lines that are read with less certainty are left out, unless the request says otherwise. */
const DEFAULT_THRESHOLD = 0.5;

interface Reader {
  /** By class of the recogniser; the first one is the blank. */
  readonly characters: readonly string[];
  readonly longestEdgePixels: number;
  readonly colour: 'rgb' | 'bgr';
  readonly detector: Ports;
  readonly recogniser: Ports;
}

/** One line of text in a picture. */
interface Line {
  readonly text: string;
  readonly score: number;
  readonly corners: Corners;
}

/** Pictures in, lines of text with their places out: a network that finds lines, and one that reads them. */
export const imageToText = defineTask({
  assertFits: (_, signatures) => {
    detectorPorts(signatures);
    recogniserPorts(signatures);
  },
  prepare: async (modelPackage, signatures): Promise<Reader> => {
    const { reading } = modelPackage.weir;
    if (reading === undefined) throw invalidFile('weir.json', 'needs the section "reading" for the task image-to-text');
    const recogniser = recogniserPorts(signatures);
    return {
      characters: await charactersOf(modelPackage, reading.characters, recogniser.classes),
      longestEdgePixels: reading.longestEdgePixels,
      colour: modelPackage.weir.image?.colour === 'rgb' ? 'rgb' : 'bgr',
      detector: detectorPorts(signatures),
      recogniser,
    };
  },
  infer: readPictures,
});

/** Names of the one input and the one output of a network. */
interface Ports {
  readonly input: string;
  readonly output: string;
}

/** A picture in, a map of it out. */
function detectorPorts(signatures: ReadonlyMap<string, Signature>): Ports {
  return ports(signatures, DETECTOR, [null, 3, null, null], [null, 1, null, null]);
}

/** Lines in, the probabilities of each character at each step along them out. */
function recogniserPorts(signatures: ReadonlyMap<string, Signature>): Ports & { readonly classes: number | null } {
  const found = ports(signatures, RECOGNISER, [null, 3, LINE_HEIGHT_PIXELS, null], [null, null, null]);
  const classes = signatureOfRole(signatures, RECOGNISER).outputs[0]?.dims[2];
  return { ...found, classes: typeof classes === 'number' ? classes : null };
}

type WantedDims = readonly (number | null)[];

function ports(signatures: ReadonlyMap<string, Signature>, role: string, inputDims: WantedDims, outputDims: WantedDims): Ports {
  const { inputs, outputs } = signatureOfRole(signatures, role);
  const [[input, ...otherInputs], [output, ...otherOutputs]] = [inputs, outputs];
  if (
    input !== undefined &&
    output !== undefined &&
    fits(input, inputDims) &&
    fits(output, outputDims) &&
    otherInputs.length + otherOutputs.length === 0
  )
    return { input: input.name, output: output.name };
  const [wantedInput, wantedOutput] = [inputDims, outputDims].map((dims) => formatShape(dims.map((size) => size ?? 'any')));
  throw new AppError('model.package_invalid', {
    message: `The ${role} needs one input FP32 ${wantedInput} and one output FP32 ${wantedOutput}, there is ${[...inputs, ...outputs].map(describeTensor).join(', ')}.`,
  });
}

function fits({ datatype, dims }: SignatureTensor, wanted: WantedDims): boolean {
  return (
    datatype === 'FP32' &&
    dims.length === wanted.length &&
    wanted.every((size, axis) => size === null || typeof dims[axis] !== 'number' || dims[axis] === size)
  );
}

/** One character a line; the recogniser knows a blank before them, and a space behind them where it has a class more. */
async function charactersOf(modelPackage: ModelPackage, path: string, classes: number | null): Promise<readonly string[]> {
  const lines = (await readFile(pathOf(modelPackage, path), 'utf8')).split(/\r?\n/u);
  if (lines.at(-1) === '') lines.pop();
  const characters = ['', ...lines];
  if (classes === null || classes === characters.length + 1) characters.push(' ');
  if (classes !== null && classes !== characters.length)
    throw invalidFile(path, `has ${lines.length} characters, the recogniser has ${classes} classes: one more, or two with the space`);
  return characters;
}

async function readPictures(call: TaskCall, reader: Reader): Promise<TaskAnswer> {
  const threshold = numberParameter(call.request.parameters, 'threshold', { minimum: 0, maximum: 1, byDefault: DEFAULT_THRESHOLD });
  // One picture after the other: each is in memory as a whole, and gives the recogniser many lines at once.
  const pictures = await forEachPicture(call, 1, async (file, turns) => {
    const picture = await decoded(file, call);
    const lines = await readLines(call, picture, await detect(call, picture, reader, turns), reader, turns);
    return inReadingOrder(lines.filter(({ text, score }) => text !== '' && score >= threshold));
  });
  return { outputs: outputsOf(pictures), usage: { inputs: pictures.length, 'input-tokens': 0 } };
}

async function decoded(file: PictureFile, call: TaskCall): Promise<Pixels> {
  const { source, widthPixels, heightPixels } = await openPicture(file, call);
  const data = await decoding(source.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer(), file.index, call.limits.maxImagePixels);
  if (data.length !== widthPixels * heightPixels * 3) throw pictureError(file.index, 'has colours that are not supported.');
  return { data, widthPixels, heightPixels };
}

/** Where there is text, in pixels of the picture. */
async function detect(
  call: TaskCall,
  picture: Pixels,
  { detector, longestEdgePixels, colour }: Reader,
  turns: Turns,
): Promise<TextRegion[]> {
  const size = detectorSize(picture, longestEdgePixels);
  const pixels = await ofPixels(picture).resize(size.widthPixels, size.heightPixels, { fit: 'fill', kernel: 'linear' }).raw().toBuffer();
  const data = await numbersOfPixels(pixels, size, size, { ...DETECTOR_NUMBERS, colour }, false, turns);
  const dims = [1, 3, size.heightPixels, size.widthPixels];
  const feed = { name: detector.input, type: 'float32', dims, data } as const;
  const item = { network: DETECTOR, feeds: [feed], outputs: [detector.output], usage: ONE_INPUT };
  const [output] = await runPrepared(call, item);
  const map = numbersOf(output, [1, 1, null, null]);
  const [, , height = 0, width = 0] = map.dims;
  if (!(map.data instanceof Float32Array)) throw failed('its detector gave no map of probabilities');
  const regions = await textRegions(map.data, width, height, turns);
  const [factorX, factorY] = [picture.widthPixels / width, picture.heightPixels / height];
  return regions.map(({ corners: [a, b, c, d], score }) => {
    // A cell of the map stands for the middle of what it covers.
    const scaled = ({ x, y }: Point): Point => ({ x: (x + 0.5) * factorX, y: (y + 0.5) * factorY });
    return { score, corners: [scaled(a), scaled(b), scaled(c), scaled(d)] };
  });
}

/** The size in which a detector looks at a picture: never larger than the picture, but for the rounding. */
export function detectorSize({ widthPixels, heightPixels }: ImageSize, longestEdgePixels: number): ImageSize {
  const factor = Math.min(1, longestEdgePixels / Math.max(widthPixels, heightPixels));
  const edge = (pixels: number): number => Math.max(1, Math.round((pixels * factor) / DETECTOR_STRIDE)) * DETECTOR_STRIDE;
  return { widthPixels: edge(widthPixels), heightPixels: edge(heightPixels) };
}

/**
 * Reads the lines of a picture, those of about one width together. What is read without certainty may stand on its head; where most
 * lines do, the others are looked at as well: digits upside down often are digits.
 */
async function readLines(
  call: TaskCall,
  picture: Pixels,
  regions: readonly TextRegion[],
  reader: Reader,
  turns: Turns,
): Promise<readonly Line[]> {
  const atOnce = { concurrency: LINES_AT_ONCE, signal: call.signal };
  const read = (corners: Corners): Promise<Line> => readLine(call, picture, corners, reader, turns);
  const better = async (line: Line): Promise<Line> => {
    const turned = await read(upsideDown(line.corners));
    return turned.score > line.score ? turned : line;
  };
  const byWidth = regions.toSorted((a, b) => lineWidth(a.corners) - lineWidth(b.corners));
  const first = await pMap(byWidth, ({ corners }) => read(corners), atOnce);
  const second = await pMap(first, (line) => (line.score < CERTAIN_SCORE ? better(line) : line), atOnce);
  const isTurned = (line: Line, position: number): boolean => line !== first[position];
  if (second.filter(isTurned).length * 2 <= second.length) return second;
  return pMap(second, (line, position) => (isTurned(line, position) ? line : better(line)), atOnce);
}

async function readLine(
  call: TaskCall,
  picture: Pixels,
  corners: Corners,
  { recogniser, characters, colour }: Reader,
  turns: Turns,
): Promise<Line> {
  const content = { heightPixels: LINE_HEIGHT_PIXELS, widthPixels: lineWidth(corners) };
  const widthPixels = Math.ceil(content.widthPixels / LINE_WIDTH_STEP_PIXELS) * LINE_WIDTH_STEP_PIXELS;
  const pixels = await linePicture(picture, corners, content);
  const data = await numbersOfPixels(pixels, content, { ...content, widthPixels }, { ...RECOGNISER_NUMBERS, colour }, false, turns);
  const feed = { name: recogniser.input, type: 'float32', dims: [1, 3, LINE_HEIGHT_PIXELS, widthPixels], data } as const;
  const [output] = await runPrepared(call, {
    network: RECOGNISER,
    feeds: [feed],
    outputs: [recogniser.output],
  });
  if (turns.isOver) await turns.next();
  const probabilities = numbersOf(output, [1, null, characters.length]);
  const { text, score } = greedyText(probabilities.data, probabilities.dims[1] ?? 0, characters);
  return { text: text.trim(), score, corners };
}

/** Width of a line when it has the recogniser's height. */
function lineWidth(corners: Corners): number {
  const { width, height } = sizeOf(corners);
  return Math.min(MAX_LINE_WIDTH_PIXELS, Math.max(1, Math.round((width / height) * LINE_HEIGHT_PIXELS)));
}

function outputsOf(pictures: readonly (readonly Line[])[]): Tensor[] {
  const most = Math.max(...pictures.map((lines) => lines.length));
  const texts: string[] = [];
  const scores = new Float32Array(pictures.length * most);
  const polygons = new Float32Array(pictures.length * most * 8);
  for (const [picture, lines] of pictures.entries()) {
    for (let rank = 0; rank < most; rank++) {
      const place = picture * most + rank;
      const line = lines[rank];
      texts.push(line?.text ?? '');
      if (line === undefined) continue;
      scores[place] = line.score;
      polygons.set(
        line.corners.flatMap(({ x, y }) => [x, y]),
        place * 8,
      );
    }
  }
  return [
    { name: TEXT_OUTPUT, datatype: 'BYTES', shape: [pictures.length, most], data: texts },
    { name: SCORE_OUTPUT, datatype: 'FP32', shape: [pictures.length, most], data: scores },
    { name: POLYGON_OUTPUT, datatype: 'FP32', shape: [pictures.length, most, 4, 2], data: polygons },
    { name: COUNT_OUTPUT, datatype: 'INT32', shape: [pictures.length], data: Int32Array.from(pictures, (lines) => lines.length) },
  ];
}
