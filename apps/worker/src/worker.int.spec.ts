import { createHash } from 'node:crypto';
import { eventually } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PlacementState } from '@weir/contracts';
import { starterFile, starterPackage, startTestWorker, type TestWorker } from './worker.fixture.ts';

let worker: TestWorker;
let digits: PlacementState;

beforeAll(async () => {
  worker = await startTestWorker({ WEIR_WORKER_MAX_IMAGE_PIXELS: '1000000' });
  digits = await worker.place('digits', 'image-classification', await starterPackage('digits'));
  await worker.announced(digits.versionId, 'ready');
});

afterAll(async () => {
  await worker.close();
});

const image = (data: string[]) => ({
  inputs: [{ name: 'image', shape: [data.length], datatype: 'BYTES', parameters: { content_type: 'base64' }, data }],
});
const pixels = (over: Record<string, unknown> = {}) => ({
  inputs: [{ name: 'pixel_values', shape: [1, 1, 28, 28], datatype: 'FP32', data: Array.from({ length: 784 }, () => 0), ...over }],
});

describe('a picture of a digit', () => {
  it('sent as a PNG is read, with labels and scores best first, and counted', async () => {
    const files = ['seven', 'three', 'zero'].map((name) => starterFile('digits', `examples/${name}.png`));
    const answer = await worker.infer('digits', {
      id: 'call-1',
      ...image((await Promise.all(files)).map((file) => file.toString('base64'))),
    });
    expect(answer).toMatchObject({
      status: 200,
      body: { model_name: 'digits', model_version: '1.0.1', id: 'call-1', parameters: { usage: { inputs: 3, 'input-tokens': 0 } } },
    });
    const [label, score] = answer.body.outputs ?? [];
    expect(label).toMatchObject({ name: 'label', datatype: 'BYTES', shape: [3, 10] });
    expect([label?.data[0], label?.data[10], label?.data[20]]).toEqual(['7', '3', '0']);
    expect(score?.shape).toEqual([3, 10]);
    expect(Number(score?.data[0])).toBeGreaterThan(0.9);
  });

  it('may be asked for its best labels alone', async () => {
    const file = await starterFile('digits', 'examples/eight.png');
    const answer = await worker.infer('digits/versions/1.0.1', { parameters: { top_k: 1 }, ...image([file.toString('base64')]) });
    expect(answer.body.outputs?.[0]).toMatchObject({ shape: [1, 1], data: ['8'] });
  });

  it.each([
    ['that is none', Buffer.from('not a picture at all').toString('base64'), 'image 0 is not a PNG, JPEG or WebP file.'],
    [
      'whose file is damaged',
      Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(60, 7)]).toString('base64'),
      'image 0 cannot be read: the file is damaged.',
    ],
    ['that is not base64', '%%%', 'image 0 is not base64.'],
  ])('%s is refused with the reason', async (_, data, error) => {
    const answer = await worker.infer('digits', image([data]));
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(answer.headers.get('x-weir-error-code')).toBe('model.image_invalid');
  });
});

describe('raw tensors', () => {
  it('give the numbers that were measured when the model was made', async () => {
    const example = JSON.parse((await starterFile('digits', 'example.json')).toString()) as {
      inputs: unknown[];
      outputs: { data: number[] }[];
      tolerance: number;
    };
    const answer = await worker.infer('digits', { inputs: example.inputs });
    expect(answer.status).toBe(200);
    const logits = answer.body.outputs?.find((output) => output.name === 'logits')?.data.map(Number) ?? [];
    const expected = example.outputs[0]?.data ?? [];
    expect(logits).toHaveLength(expected.length);
    for (const [index, value] of expected.entries()) expect(Math.abs((logits[index] ?? 0) - value)).toBeLessThan(example.tolerance);
  });

  it.each([
    [
      'of the wrong shape',
      pixels({ shape: [1, 1, 14, 56] }),
      'input "pixel_values": expected shape [batch=1, 1, 28, 28], got [1, 1, 14, 56]',
    ],
    ['with too few numbers', pixels({ data: [1, 2, 3] }), 'input "pixel_values": shape [1, 1, 28, 28] holds 784 elements, data holds 3'],
    ['of the wrong datatype', pixels({ datatype: 'INT64' }), 'input "pixel_values": expected datatype FP32, got INT64'],
    ['of an unknown name', pixels({ name: 'x' }), 'unknown input "x"; the model takes "pixel_values" FP32 [batch, 1, 28, 28]'],
    [
      'with text among the numbers',
      pixels({ data: Array.from({ length: 784 }, () => '1') }),
      'input "pixel_values": element 0 must be a number from -3.4028234663852886e+38 to 3.4028234663852886e+38 (FP32), got a string',
    ],
    ['that are missing', { inputs: [] }, 'inputs must be a non-empty array of tensors, got an empty array'],
  ])('%s are refused with what is expected and what came', async (_, body, error) => {
    const answer = await worker.infer('digits', body);
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(answer.headers.get('x-weir-error-code')).toBe('model.input_invalid');
  });

  it('that drive a model beyond its numbers are refused as input, not answered with nulls', async () => {
    const answer = await worker.infer('digits', pixels({ data: Array.from({ length: 784 }, () => 3e38) }));
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain('which JSON cannot carry');
  });

  it('of an empty batch never fail with an error of the server', async () => {
    expect((await worker.infer('digits', pixels({ shape: [0, 1, 28, 28], data: [] }))).status).toBeLessThan(500);
  });

  it('ask only for outputs that exist', async () => {
    const answer = await worker.infer('digits', { ...pixels(), outputs: [{ name: 'probabilities' }] });
    expect(answer).toMatchObject({
      status: 400,
      body: { error: 'unknown output "probabilities"; the model gives "logits" FP32 [batch, 10]' },
    });
  });
});

describe('the port of a worker', () => {
  it('refuses a body above its limit without reading it all', async () => {
    const answer = await worker.infer('digits', `"${'x'.repeat(50_000_000)}"`).catch((error: unknown) => error);
    // The answer may be cut off by the connection that the worker closes; what it must not do is take the body.
    if (answer instanceof Error) expect(answer.message).toContain('fetch failed');
    else expect(answer).toMatchObject({ status: 413 });
    expect((await worker.infer('digits', pixels())).status).toBe(200);
  });

  it('answers bodies that are no JSON, or of another type, in the shape of the protocol', async () => {
    const malformed = await worker.infer('digits', '{"inputs": [');
    expect(malformed).toMatchObject({ status: 400, body: { error: 'The body is not valid JSON.' } });
    expect(malformed.headers.get('x-weir-error-code')).toBe('request.malformed');
    expect((await worker.infer('digits', 'a=b', { 'content-type': 'text/csv' })).status).toBe(415);
    const poisoned = await worker.infer('digits', '{"__proto__": {"inputs": []}, "inputs": []}');
    expect(poisoned.status).toBe(400);
  });

  it('says that there is no such model or version', async () => {
    for (const path of ['nothing', 'digits/versions/9', '__proto__', 'digits/versions/constructor']) {
      const answer = await worker.infer(path, pixels());
      expect(answer.status).toBe(404);
      expect(answer.headers.get('x-weir-error-code')).toBe('model.not_found');
    }
    expect((await worker.get('/v2/models/nothing')).status).toBe(404);
    expect((await worker.get('/v2/nothing')).status).toBe(404);
  });

  it('describes the server and the model', async () => {
    expect(await (await worker.get('/v2')).json()).toMatchObject({ name: 'weir-worker' });
    expect(await (await worker.get('/v2/health/ready')).json()).toEqual({ ready: true });
    expect((await worker.get('/v2/models/digits/versions/1.0.1/ready')).status).toBe(200);
    expect(await (await worker.get('/v2/models/digits')).json()).toMatchObject({
      name: 'digits',
      versions: ['1.0.1'],
      inputs: [{ name: 'pixel_values', datatype: 'FP32', shape: [-1, 1, 28, 28] }],
      outputs: [{ name: 'logits', datatype: 'FP32', shape: [-1, 10] }],
      parameters: { task: 'image-classification', processed: { inputs: [{ name: 'image', datatype: 'BYTES', shape: [-1] }] } },
    });
  });

  it('is closed to whoever has no internal token; health is open', async () => {
    expect((await worker.get('/v2/models/digits', {})).status).toBe(401);
    expect((await worker.get('/v2/models/digits', { 'x-weir-internal-token': 'made.up.token' })).status).toBe(401);
    expect((await worker.get('/v2/health/live', { 'x-weir-internal-token': 'made.up.token' })).status).toBe(200);
    expect((await worker.get('/health/ready', {})).status).toBe(200);
    expect(await (await worker.get('/metrics', {})).text()).toContain('weir_model_run_seconds_count');
  });
});

describe('placements', () => {
  it('that are withdrawn are unloaded', async () => {
    const placement = await worker.place('passing', 'tensors', await starterPackage('digits'));
    await worker.announced(placement.versionId, 'ready');
    expect((await worker.infer('passing', pixels())).status).toBe(200);
    await worker.unplace(placement);
    await eventually(() => worker.worker()?.versions.every((version) => version.versionId !== placement.versionId));
    expect((await worker.infer('passing', pixels())).status).toBe(404);
    expect((await worker.infer('digits', pixels())).status).toBe(200);
  });

  it('for another worker are left alone', async () => {
    await worker.publish({ ...digits, workerId: 'worker-2', versionId: 'elsewhere', modelId: 'elsewhere' });
    const marker = await worker.place('marker', 'tensors', await starterPackage('digits'));
    await worker.announced(marker.versionId, 'ready');
    expect(worker.worker()?.versions.some((version) => version.versionId === 'elsewhere')).toBe(false);
    await worker.unplace(marker);
  });

  it('whose files do not have the announced digest are refused, and nothing of them is kept', async () => {
    const announced = { path: 'weir.json', sha256: 'ab'.repeat(32), sizeBytes: 2 };
    worker.artifacts.lie(announced.sha256, Buffer.from('{}'));
    await worker.publish({
      ...digits,
      versionId: 'corrupted',
      modelId: 'corrupted',
      files: [...digits.files.filter((file) => file.path !== 'weir.json'), announced],
    });
    const failed = await worker.announced('corrupted', 'failed');
    expect(failed.error).toBe('The file weir.json of the package does not have the announced size and digest.');
    expect((await worker.infer('corrupted', pixels())).status).toBe(404);
    expect(await worker.cached(announced.sha256)).toBe(false);
  });

  it('whose files the registry does not have yet are tried again until it has', async () => {
    const content = Buffer.from('{"late": true}');
    const sha256 = createHash('sha256').update(content).digest('hex');
    await worker.publish({
      ...digits,
      versionId: 'late',
      modelId: 'late',
      files: [...digits.files, { path: 'extra.json', sha256, sizeBytes: content.length }],
      artifactsUrl: 'http://127.0.0.1:9',
    });
    const waiting = await eventually(() =>
      worker.worker()?.versions.find((version) => version.versionId === 'late' && version.error !== undefined),
    );
    expect(waiting).toMatchObject({ state: 'loading', error: 'The registry does not answer.' });
    worker.artifacts.put(content);
    await worker.publish({
      ...digits,
      versionId: 'late',
      modelId: 'late',
      files: [...digits.files, { path: 'extra.json', sha256, sizeBytes: content.length }],
    });
    await worker.announced('late', 'ready');
  });

  it.each([
    ['with a path that leads out of the package', { 'a/.hidden/model.onnx': 'x' }, 'A file of the package has a path that is not allowed.'],
    ['without a model', { 'config.json': '{}' }, 'onnx/model.onnx of the package is missing'],
    ['whose model is none', { 'model.onnx': 'not a model' }, 'The model cannot be loaded:'],
    ['whose settings are no JSON', { 'model.onnx': 'x', 'config.json': '{' }, 'config.json of the package is not JSON'],
  ])('%s fail with a reason that names no path of this machine', async (_, files, reason) => {
    const placement = await worker.place(
      `broken-${reason.length}`,
      'tensors',
      new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)])),
    );
    const failed = await worker.announced(placement.versionId, 'failed');
    expect(failed.error).toContain(reason);
    expect(failed.error).not.toMatch(/\/tmp|\/packages|weir-worker/);
  });

  it('whose model does not fit its task fail with what is needed', async () => {
    const files = await starterPackage('digits');
    files.set('weir.json', Buffer.from('{"image": {"colour": "rgb"}}'));
    const placement = await worker.place('unfit', 'image-classification', files);
    const failed = await worker.announced(placement.versionId, 'failed');
    expect(failed.error).toContain('one input FP32 [batch, 3, 28, 28] is needed');
  });
});
