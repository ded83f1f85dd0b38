import type { PlacementState } from '@weir/contracts';
import { eventually } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { starterFile, starterPackage, startTestWorker, type TestWorker } from '../worker.fixture.ts';

// Needs an adapter for WebGPU: a graphics card, or software that stands in for one (SwiftShader, which is in Debian's
// chromium-common: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json). Without one the worker does not start, and says why.

let worker: TestWorker;
let digits: PlacementState;

/** The digit classifier, asking for an accelerator. */
async function digitsOn(accelerator: string): Promise<Map<string, Buffer>> {
  const files = await starterPackage('digits');
  const weir = JSON.parse(files.get('weir.json')?.toString() ?? '{}') as Record<string, unknown>;
  return files.set('weir.json', Buffer.from(JSON.stringify({ ...weir, runtime: { accelerator } })));
}

beforeAll(async () => {
  worker = await startTestWorker({ WEIR_WORKER_EXECUTION_PROVIDERS: 'cpu,webgpu' });
  digits = await worker.place('digits', 'image-classification', await digitsOn('webgpu'));
}, 120_000);

afterAll(async () => {
  await worker.close();
});

describe('a worker with WebGPU', () => {
  it('announces it, and runs on it what asks for it: the numbers are those that were measured on a processor', async () => {
    expect((await eventually(() => worker.worker())).devices?.map(({ kind }) => kind)).toEqual(['cpu', 'webgpu']);
    await worker.announced(digits.versionId, 'ready');
    const example = JSON.parse((await starterFile('digits', 'example.json')).toString()) as {
      inputs: unknown[];
      outputs: { data: number[] }[];
      tolerance: number;
    };
    const answer = await worker.infer('digits', { inputs: example.inputs });
    const logits = answer.body.outputs?.find((output) => output.name === 'logits')?.data.map(Number) ?? [];
    const expected = example.outputs[0]?.data ?? [];
    expect(logits).toHaveLength(expected.length);
    for (const [index, value] of expected.entries()) expect(Math.abs((logits[index] ?? 0) - value)).toBeLessThan(example.tolerance);
  });

  it('does not run on anything else what asks for CUDA', async () => {
    const fast = await worker.place('fast', 'image-classification', await digitsOn('cuda'));
    expect(await worker.announced(fast.versionId, 'failed')).toMatchObject({
      error: 'The model asks for the accelerator cuda; this worker offers cpu, webgpu.',
    });
  });
});
