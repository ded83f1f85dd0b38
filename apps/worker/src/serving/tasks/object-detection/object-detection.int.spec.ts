import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aProcessedInput, openPackage, outputOf, type OpenPackage, type SpecCallOptions } from '../task-call.fixture.ts';
import type { TaskAnswer } from '../task.ts';
import { anchorDetector, queryDetector } from './detector-networks.fixture.ts';

const LABELS = { 0: 'cat', 1: 'dog' };
/** As DETR's exports have it. */
const DETR_PROCESSOR = { size: { shortest_edge: 80, longest_edge: 133 }, do_pad: true, do_rescale: true };

let directory: string;
const opened: OpenPackage[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-detection-'));
});

afterAll(async () => {
  for (const one of opened) await one.close();
  await rm(directory, { recursive: true, force: true });
});

async function aDetector(
  network: Buffer,
  { processor = DETR_PROCESSOR, weir = {}, id2label = LABELS }: { processor?: object; weir?: object; id2label?: object } = {},
): Promise<OpenPackage> {
  const folder = await mkdtemp(join(directory, 'package-'));
  await writeFile(join(folder, 'model.onnx'), network);
  await writeFile(join(folder, 'config.json'), JSON.stringify({ id2label }));
  await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(processor));
  await writeFile(join(folder, 'weir.json'), JSON.stringify(weir));
  const open = await openPackage(folder, 'object-detection');
  opened.push(open);
  return open;
}

/** Black, but for a white part. */
function aScene(width: number, height: number, left: number, top: number, right: number, bottom: number): Sharp {
  return sharp({ create: { width, height, channels: 3, background: '#000' } }).composite([
    { input: { create: { width: right - left, height: bottom - top, channels: 3, background: '#fff' } }, left, top },
  ]);
}

async function detect(
  detector: OpenPackage,
  pictures: readonly Sharp[],
  options: SpecCallOptions & { parameters?: Record<string, unknown> } = {},
): Promise<TaskAnswer> {
  const files = await Promise.all(pictures.map(async (picture) => (await picture.png().toBuffer()).toString('base64')));
  return detector.infer([aProcessedInput('image', files)], options);
}

const numbers = (answer: TaskAnswer, name: string): number[] => Array.from(outputOf(answer, name).data, Number);
/** The boxes of an answer, each edge rounded to tens of pixels: scaling moves them a little. */
const boxes = (answer: TaskAnswer): number[] => numbers(answer, 'box').map((edge) => Math.round(edge / 10) * 10);

/** A wide picture: scaled to 133 × 67, from 600 × 300. */
const wide = (): Sharp => aScene(600, 300, 100, 50, 200, 250);
const WIDE_BOX = [100, 50, 200, 250];

describe('a detector with queries', () => {
  it('answers with what is there, in pixels of the picture as it came', async () => {
    const detector = await aDetector(
      queryDetector([
        [0, 5, 0],
        [0, 0, 9],
        [3, 0, 2],
      ]),
    );
    const answer = await detect(detector, [wide()]);
    expect(outputOf(answer, 'label')).toMatchObject({ shape: [1, 2], data: ['dog', 'cat'] });
    expect(boxes(answer)).toEqual([...WIDE_BOX, ...WIDE_BOX]);
    expect(outputOf(answer, 'box').shape).toEqual([1, 2, 4]);
    expect(numbers(answer, 'count')).toEqual([2]);
    const [dog = 0, cat = 0] = numbers(answer, 'score');
    expect(dog).toBeCloseTo(Math.exp(5) / (Math.exp(5) + 2));
    expect(cat).toBeCloseTo(Math.exp(3) / (Math.exp(3) + 1 + Math.exp(2)));
    expect(detector.runs[0]?.feeds[0]?.dims).toEqual([1, 3, 67, 133]);
  });

  it('whose classes are its labels says of each class by itself how certain it is', async () => {
    const answer = await detect(await aDetector(queryDetector([[1, 2]])), [wide()]);
    expect(outputOf(answer, 'label').data).toEqual(['dog', 'cat']);
    expect(numbers(answer, 'score')[1]).toBeCloseTo(1 / (1 + Math.exp(-1)));
  });

  it('that takes a mask is told which part of a filled up input is the picture', async () => {
    const processor = { size: { longest_edge: 60 }, do_pad: true, pad_size: { height: 80, width: 100 } };
    const detector = await aDetector(queryDetector([[0, 5, 0]], { hasMask: true }), { processor });
    expect(boxes(await detect(detector, [wide()]))).toEqual(WIDE_BOX);
    const [pixels, mask] = detector.runs[0]?.feeds ?? [];
    expect(pixels?.dims).toEqual([1, 3, 80, 100]);
    expect(mask).toMatchObject({ name: 'pixel_mask', type: 'int64', dims: [1, 80, 100] });
    expect(Array.from(mask?.data ?? [], Number).reduce((sum, value) => sum + value, 0)).toBe(60 * 30);
  });

  it('that takes none means all of its input, what it was filled up with included', async () => {
    const processor = { size: { longest_edge: 60 }, do_pad: true, pad_size: { height: 80, width: 100 } };
    expect(boxes(await detect(await aDetector(queryDetector([[0, 5, 0]]), { processor }), [wide()]))).toEqual(WIDE_BOX);
  });

  it('that sees the middle of a picture says where in the whole picture things are', async () => {
    const processor = { size: { shortest_edge: 100 }, do_center_crop: true, crop_size: { height: 100, width: 100 } };
    const detector = await aDetector(queryDetector([[0, 5, 0]]), { processor });
    // Of the 600 columns the middle 300 are seen.
    expect(boxes(await detect(detector, [aScene(600, 300, 200, 50, 300, 250)]))).toEqual([200, 50, 300, 250]);
    expect(boxes(await detect(detector, [aScene(600, 300, 50, 50, 300, 250)]))).toEqual([150, 50, 300, 250]);
  });

  it('speaks of the upright picture, however the camera was held', async () => {
    const detector = await aDetector(queryDetector([[0, 5, 0]]));
    const upright = aScene(300, 600, 50, 100, 250, 200);
    const lying = sharp(await upright.png().toBuffer())
      .rotate(270)
      .withMetadata({ orientation: 6 });
    const file = (await lying.jpeg().toBuffer()).toString('base64');
    expect(boxes(await detector.infer([aProcessedInput('image', [file])]))).toEqual([50, 100, 250, 200]);
  });

  it('answers several pictures in rows that are filled up to the longest', async () => {
    const detector = await aDetector(queryDetector([[0, 5, 0]]));
    const answer = await detect(detector, [wide(), aScene(100, 200, 20, 40, 80, 100)]);
    expect(boxes(answer)).toEqual([...WIDE_BOX, 20, 40, 80, 100]);
    expect(numbers(answer, 'count')).toEqual([1, 1]);
    expect(answer.usage).toEqual({ inputs: 2, 'input-tokens': 0 });
  });

  it('answers with no rows when it is certain of nothing', async () => {
    const detector = await aDetector(queryDetector([[0, 1, 1]]));
    const answer = await detect(detector, [wide(), wide()]);
    expect(outputOf(answer, 'label')).toMatchObject({ shape: [2, 0], data: [] });
    expect(outputOf(answer, 'box').shape).toEqual([2, 0, 4]);
    expect(numbers(answer, 'count')).toEqual([0, 0]);
  });

  it("takes the caller's threshold before the package's", async () => {
    const detector = await aDetector(queryDetector([[0, 1, 1]]), { weir: { detection: { threshold: 0.3 } } });
    expect(numbers(await detect(detector, [wide()]), 'count')).toEqual([1]);
    expect(numbers(await detect(detector, [wide()], { parameters: { threshold: 0.6 } }), 'count')).toEqual([0]);
    await expect(detect(detector, [wide()], { parameters: { threshold: 'high' } })).rejects.toMatchObject({
      code: 'model.input_invalid',
      field: 'parameters.threshold',
    });
  });
});

describe('a detector with a box for each place', () => {
  const ANCHORS = [
    { shift: 0, scores: [0.1, 0.9] },
    { shift: 2, scores: [0.1, 0.8] },
    { shift: 1, scores: [0.7, 0.2] },
    { shift: 90, scores: [0.2, 0.6] },
    { shift: 0, scores: [0.4, 0.4] },
  ];
  const PROCESSOR = { size: { height: 100, width: 200 } };

  it('keeps the most certain of many boxes for one thing, each class for itself', async () => {
    const detector = await aDetector(anchorDetector(ANCHORS, 2), { processor: PROCESSOR });
    const answer = await detect(detector, [wide()]);
    expect(outputOf(answer, 'label').data).toEqual(['dog', 'cat', 'dog']);
    expect(numbers(answer, 'score').map((score) => score.toFixed(1))).toEqual(['0.9', '0.7', '0.6']);
    expect(boxes(answer).slice(0, 4)).toEqual(WIDE_BOX);
    expect(numbers(answer, 'box')[8]).toBeCloseTo(370, -1);
  });

  it('lets boxes overlap as far as the package says', async () => {
    const detector = await aDetector(anchorDetector(ANCHORS, 2), { processor: PROCESSOR, weir: { detection: { overlap: 1 } } });
    expect(numbers(await detect(detector, [wide()]), 'count')).toEqual([4]);
  });

  it('may write its boxes one after the other, with a number that says whether anything is there', async () => {
    const withObjectness = ANCHORS.map(({ shift, scores }, index) => ({ shift, scores: [index === 0 ? 0.2 : 0.9, ...scores] }));
    const detector = await aDetector(anchorDetector(withObjectness, 1), { processor: PROCESSOR });
    const answer = await detect(detector, [wide()]);
    expect(outputOf(answer, 'label').data).toEqual(['dog', 'cat', 'dog']);
    expect(numbers(answer, 'score')[0]).toBeCloseTo(0.72);
  });

  it('cuts boxes at the edges of the picture, and drops what lies outside', async () => {
    const beyond = [
      { shift: -60, scores: [0.9, 0] },
      { shift: 400, scores: [0, 0.9] },
    ];
    const detector = await aDetector(anchorDetector(beyond, 2), { processor: { size: 100 } });
    const answer = await detect(detector, [aScene(100, 100, 40, 10, 80, 90)]);
    expect(outputOf(answer, 'label').data).toEqual(['cat']);
    expect(numbers(answer, 'box')).toEqual([0, 10, 20, 90]);
  });
});

describe('a package that is no detector', () => {
  it.each([
    [
      'whose output has sizes of no known kind',
      anchorDetector([{ shift: 0, scores: [1, 2, 3, 4, 5] }], 2),
      'does not fit its task object-detection',
    ],
    [
      'whose input has a size that its pictures do not have',
      anchorDetector([{ shift: 0, scores: [0.1, 0.9] }], 2),
      'one input FP32 [batch, 1',
    ],
  ])('%s is refused', async (_, network, message) => {
    const weir = message.startsWith('one') ? { image: { colour: 'grey' } } : {};
    await expect(aDetector(network, { processor: { size: 8 }, weir })).rejects.toMatchObject({
      code: 'model.package_invalid',
      message: expect.stringContaining(message),
    });
  });
});
