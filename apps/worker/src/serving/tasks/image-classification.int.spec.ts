import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aProcessedInput, openPackage, outputOf, type OpenPackage } from './task-call.fixture.ts';

const DIGITS = fileURLToPath(new URL('../../../../../models/digits/', import.meta.url));

/** A drawn digit of the package's examples. */
const digit = (name: string): Promise<Buffer> => readFile(`${DIGITS}examples/${name}.png`);

let model: OpenPackage;

beforeAll(async () => {
  model = await openPackage(DIGITS, 'image-classification');
});

afterAll(async () => {
  await model.close();
});

describe('pictures', () => {
  it('are classified one by one, so that pictures of many callers can share a run', async () => {
    const pictures = await Promise.all(['three', 'seven', 'zero', 'eight', 'four'].map(digit));
    const answer = await model.infer([
      aProcessedInput(
        'image',
        pictures.map((bytes) => bytes.toString('base64')),
      ),
    ]);
    const labels = outputOf(answer, 'label');
    expect(labels.shape).toEqual([5, 10]);
    expect([0, 10, 20, 30, 40].map((at) => labels.data[at])).toEqual(['3', '7', '0', '8', '4']);
    expect(answer.usage).toEqual({ inputs: 5, 'input-tokens': 0 });
    expect(model.runs.map(({ feeds }) => feeds[0]?.dims)).toEqual(Array.from({ length: 5 }, () => [1, 1, 28, 28]));
  });

  it('get the same answer as bytes, as base64, and beside others', async () => {
    const [three, seven] = [await digit('three'), await digit('seven')];
    const framed = Buffer.concat([Buffer.alloc(4), three]);
    framed.writeUInt32LE(three.length);
    const alone = await model.infer([{ name: 'image', datatype: 'BYTES', shape: [1], data: framed }], { parameters: { top_k: 1 } });
    const beside = await model.infer(
      [
        aProcessedInput(
          'image',
          [three, seven].map((bytes) => bytes.toString('base64')),
        ),
      ],
      {
        parameters: { top_k: 1 },
      },
    );
    expect(outputOf(alone, 'label').data).toEqual(['3']);
    expect(outputOf(beside, 'label').data).toEqual(['3', '7']);
    expect(outputOf(beside, 'score').data[0]).toBe(outputOf(alone, 'score').data[0]);
  });

  it('of which one cannot be read are refused, and the error says which', async () => {
    const three = (await digit('three')).toString('base64');
    const half = (await digit('three')).subarray(0, 100).toString('base64');
    await expect(model.infer([aProcessedInput('image', [three, half, three])])).rejects.toMatchObject({
      code: 'model.image_invalid',
      field: 'inputs[0].data[1]',
      message: 'image 1 cannot be read: the file is damaged.',
    });
  });

  it('that are sent as something else than base64 are refused', async () => {
    const input = { ...aProcessedInput('image', ['AAAA']), parameters: { content_type: 'hex' } };
    await expect(model.infer([input])).rejects.toMatchObject({
      code: 'model.input_invalid',
      field: 'inputs[0].parameters.content_type',
    });
  });

  it('are given up when nobody waits for them', async () => {
    const gone = new AbortController();
    gone.abort(new Error('the caller has gone'));
    const three = (await digit('three')).toString('base64');
    const before = model.runs.length;
    await expect(model.infer([aProcessedInput('image', [three])], { signal: gone.signal })).rejects.toThrow('the caller has gone');
    expect(model.runs).toHaveLength(before);
  });
});
