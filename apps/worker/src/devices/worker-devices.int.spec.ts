import { eventually } from '@weir/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestWorker, type TestWorker } from '../worker.fixture.ts';
import { providerProblems } from './execution-providers.ts';
import { tryProviders } from './try-providers.ts';

let worker: TestWorker | undefined;

afterEach(async () => {
  await worker?.close();
  worker = undefined;
});

describe('a worker', () => {
  it('announces what it computes on, and the kinds of back ends that it takes', async () => {
    const started = await startTestWorker({ WEIR_WORKER_BACK_ENDS: 'onnxruntime,openai' });
    worker = started;
    const announced = await eventually(() => started.worker());
    expect(announced.devices).toMatchObject([{ kind: 'cpu' }]);
    expect(announced.backends).toEqual(['onnxruntime', 'openai']);
  });

  it('does not start with an execution provider that is not there: nothing falls back to the processor, although that is named too', async () => {
    // DirectML is for Windows, where no part of Weir is run.
    const started = startTestWorker({ WEIR_WORKER_EXECUTION_PROVIDERS: 'dml,cpu' });
    await expect(started).rejects.toThrow(/WEIR_WORKER_EXECUTION_PROVIDERS: dml is not part of onnxruntime-node on .* Leave dml out\./);
  });
});

describe('trying execution providers', () => {
  it('tells of each alone what ONNX Runtime really does with it on this machine, without paths', async () => {
    const { installed, trials } = await tryProviders(['cpu', 'dml', 'webgpu'], {});
    expect(installed).toContainEqual({ name: 'cpu', isBundled: true });
    expect(trials.cpu).toBeNull();
    expect(trials.dml).toContain('dml');
    expect(trials).not.toHaveProperty('cuda');
    expect(Object.values(trials).join()).not.toContain('/');
  });

  it('finds that CUDA is missing where its libraries were not installed, and says how they are', async () => {
    const report = await tryProviders(['cuda'], {});
    const cuda = report.installed.find(({ name }) => name === 'cuda');
    // Elsewhere than on Linux with an x64 processor it cannot be installed; with its libraries and a card it works.
    if (cuda === undefined || report.trials.cuda === null) return;
    expect(cuda.isBundled).toBe(false);
    expect(providerProblems(['cuda'], report, 'linux x64')[0]).toContain('ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node');
  });
});
