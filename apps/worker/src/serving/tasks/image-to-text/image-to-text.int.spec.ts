import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aProcessedInput, openPackage, outputOf, type OpenPackage, type SpecCallOptions } from '../task-call.fixture.ts';
import type { TaskAnswer } from '../task.ts';

/** The starter model: its networks come from npm, as its `sources.json` says. */
const STARTER = new URL('../../../../../../models/read-text/', import.meta.url);
const MODULES = new URL('../../../../../../node_modules/', import.meta.url);

/** 640 × 400 pixels, in three fonts, the first line white on dark. */
const INVOICE = await readFile(new URL('./invoice.png', import.meta.url));
const LINES = [
  'Weir Ltd.',
  'Invoice No. 2026-1142',
  'Inference, 1,000 calls',
  '1,000.00',
  'Storage, 12 months',
  '234.50',
  'Total: 1,234.50 EUR',
  'Payable within 14 days. Thank you!',
];

let directory: string;
let reader: OpenPackage;

async function aReadingPackage(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-reading-'));
  await mkdir(join(folder, 'onnx'));
  await copyFile(new URL('weir.json', STARTER), join(folder, 'weir.json'));
  for (const { path, npmPackage, file } of await readJson<{ path: string; npmPackage: string; file: string }[]>('sources.json'))
    await copyFile(new URL(`${npmPackage}/${file}`, MODULES), join(folder, path));
  return folder;
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(new URL(path, STARTER), 'utf8'));
}

beforeAll(async () => {
  directory = await aReadingPackage();
  reader = await openPackage(directory, 'image-to-text');
});

afterAll(async () => {
  await reader.close();
  await rm(directory, { recursive: true, force: true });
});

async function read(
  pictures: readonly Sharp[],
  options: SpecCallOptions & { parameters?: Record<string, unknown> } = {},
): Promise<TaskAnswer> {
  const files = await Promise.all(pictures.map(async (picture) => (await picture.png().toBuffer()).toString('base64')));
  return reader.infer([aProcessedInput('image', files)], options);
}

const textsOf = (answer: TaskAnswer): unknown => outputOf(answer, 'text').data;
const invoice = (): Sharp => sharp(INVOICE);

/** Corners of a line of an answer for one picture. */
function cornersOf(answer: TaskAnswer, line: number): number[] {
  const { data } = outputOf(answer, 'polygon');
  return Array.from({ length: 8 }, (_, index) => Number(data[line * 8 + index]));
}

describe('text in pictures', () => {
  it('of a drawn invoice is read exactly, in the order in which people read', async () => {
    const answer = await read([invoice()]);
    expect(textsOf(answer)).toEqual(LINES);
    expect(outputOf(answer, 'count').data).toEqual(Int32Array.of(LINES.length));
    expect(Math.min(...Array.from(outputOf(answer, 'score').data, Number))).toBeGreaterThan(0.9);
    expect(answer.usage).toEqual({ inputs: 1, 'input-tokens': 0 });
  });

  it('of the example of the starter model is what its package says', async () => {
    const { examples } = await readJson<{ examples: { input: { imageFile: string }; expected: { text: string[] } }[] }>('weir.json');
    expect(examples.length).toBeGreaterThan(0);
    for (const { input, expected } of examples) {
      const picture = await readFile(new URL(input.imageFile, STARTER));
      expect(textsOf(await read([sharp(picture)]))).toEqual(expected.text);
    }
  });

  it('is told where it stands, in pixels of the picture', async () => {
    const total = LINES.indexOf('Total: 1,234.50 EUR');
    const [left = 0, top = 0, right = 0, , , bottom = 0] = cornersOf(await read([invoice()]), total);
    // The ink of the line.
    const ink = { left: 40, top: 259, right: 313, bottom: 282 };
    const distances = [left - ink.left, top - ink.top, right - ink.right, bottom - ink.bottom].map(Math.abs);
    expect(Math.max(...distances)).toBeLessThan(6);
    const large = cornersOf(await read([invoice().resize(1_600)]), total);
    expect((large[0] ?? 0) / 2.5).toBeCloseTo(left, -1);
    expect((large[5] ?? 0) / 2.5).toBeCloseTo(bottom, -1);
  });

  it.each([[5], [-8]])('is read the same in a scan that is tilted by %d degrees', async (degrees) => {
    expect(textsOf(await read([invoice().rotate(degrees, { background: '#ffffff' })]))).toEqual(LINES);
  });

  it.each([[90], [180], [270]])(
    'is read the same in a page that lies turned by %d degrees, with its corners in the order of the text',
    async (degrees) => {
      const answer = await read([invoice().rotate(degrees)]);
      expect(textsOf(answer)).toEqual(LINES);
      const [left = 0, top = 0, right = 0, alsoTop = 0] = cornersOf(answer, 1);
      const turn = Math.round((Math.atan2(alsoTop - top, right - left) * 180) / Math.PI / 90) * 90;
      expect((turn + 360) % 360).toBe(degrees);
    },
  );

  it('is read the same in a run that it shares with longer lines', async () => {
    const padded = await openPackage(directory, 'image-to-text', { padTo: 640 });
    try {
      expect(textsOf(await padded.infer([aProcessedInput('image', [INVOICE.toString('base64')])]))).toEqual(LINES);
    } finally {
      await padded.close();
    }
  });

  it('of several pictures comes in rows that are filled up to the longest, an empty picture has none', async () => {
    const blank = sharp({ create: { width: 200, height: 100, channels: 3, background: '#ffffff' } });
    const answer = await read([blank, invoice(), invoice().extract({ left: 0, top: 90, width: 640, height: 50 })]);
    expect(outputOf(answer, 'count').data).toEqual(Int32Array.of(0, 8, 1));
    expect(outputOf(answer, 'text').shape).toEqual([3, 8]);
    expect(outputOf(answer, 'polygon').shape).toEqual([3, 8, 4, 2]);
    const none = Array.from({ length: 8 }, () => '');
    expect(textsOf(answer)).toEqual([...none, ...LINES, LINES[1], ...none.slice(1)]);
    expect(outputOf(await read([blank]), 'text').shape).toEqual([1, 0]);
  });

  it('that is not certain enough for the caller is left out', async () => {
    const answer = await read([invoice()], { parameters: { threshold: 1 } });
    expect(outputOf(answer, 'count').data).toEqual(Int32Array.of(0));
    await expect(read([invoice()], { parameters: { threshold: 1.5 } })).rejects.toMatchObject({
      code: 'model.input_invalid',
      field: 'parameters.threshold',
    });
  });

  it('is not looked for any longer when the caller has gone', async () => {
    const gone = new AbortController();
    const before = reader.runs.length;
    const reading = read([invoice()], { signal: gone.signal });
    await expect.poll(() => reader.runs.length).toBeGreaterThan(before);
    gone.abort(new Error('the caller has gone'));
    await expect(reading).rejects.toThrow('the caller has gone');
    expect(reader.runs.length - before).toBeLessThan(1 + LINES.length);
  });
});

describe('a package that reads', () => {
  it('is refused when its characters are not those of its recogniser, or when its networks are mixed up', async () => {
    const folder = await aReadingPackage();
    try {
      await writeFile(join(folder, 'characters.txt'), 'a\nb\n');
      await expect(openPackage(folder, 'image-to-text')).rejects.toMatchObject({
        code: 'model.package_invalid',
        message: expect.stringContaining('has 2 characters, the recogniser has 6625 classes'),
      });
      const mixed = { detector: 'onnx/recogniser.onnx', recogniser: 'onnx/detector.onnx', characters: 'characters.txt' };
      await writeFile(join(folder, 'weir.json'), JSON.stringify({ task: 'image-to-text', reading: mixed }));
      await expect(openPackage(folder, 'image-to-text')).rejects.toMatchObject({
        code: 'model.package_invalid',
        message: expect.stringContaining('The detector needs one input'),
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
