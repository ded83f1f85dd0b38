import { fileURLToPath } from 'node:url';
import { AppError } from '@weir/kernel';
import { afterEach, describe, expect, it } from 'vitest';
import { ModelRuntime, RunRefusedError, type ModelRuntimeOptions, type RunWork } from './model-runtime.ts';

const DIGITS = fileURLToPath(new URL('../../../../models/digits/onnx/model.onnx', import.meta.url));

let runtime: ModelRuntime;
let ran = 0;
const rejected: string[] = [];
const deaths: string[] = [];

async function aRuntime(over: Partial<ModelRuntimeOptions> = {}): Promise<ModelRuntime> {
  ran = 0;
  rejected.length = 0;
  deaths.length = 0;
  const observe = { waited: () => {}, ran: () => void ran++, rejected: (reason: string) => void rejected.push(reason) };
  runtime = new ModelRuntime({
    queueLength: 2,
    intraOpThreads: 1,
    runLimitMs: 60_000,
    die: (reason) => void deaths.push(reason),
    observe,
    ...over,
  });
  await runtime.load('v1', DIGITS, null);
  return runtime;
}

afterEach(async () => {
  await runtime.close();
});

const pictures = (count: number): RunWork => ({
  kind: 'tensors',
  feeds: [{ name: 'pixel_values', type: 'float32', dims: [count, 1, 28, 28], data: new Float32Array(count * 784) }],
});
const forEver = new AbortController().signal;
/** Long enough on any machine for what has to happen meanwhile. */
const LONG = 8_000;

const run = (work: RunWork, signal: AbortSignal = forEver) => runtime.run('v1', work, ['logits'], signal);

describe('a model that is busy', () => {
  it('lets as many calls wait as its queue has places, and refuses more with a time to come back', async () => {
    await aRuntime();
    const first = run(pictures(LONG));
    const waiting = [run(pictures(1)), run(pictures(1))];
    await expect(run(pictures(1))).rejects.toMatchObject({ code: 'worker.overloaded', retryAfterMs: expect.any(Number) });
    expect(runtime.queued).toBe(2);
    expect((await first).outputs[0]?.dims).toEqual([LONG, 10]);
    expect(await Promise.all(waiting)).toHaveLength(2);
    expect(rejected).toEqual(['overloaded']);
  });

  it('never runs a call that was given up while it waited, and frees its place at once', async () => {
    await aRuntime();
    const first = run(pictures(LONG));
    const controller = new AbortController();
    const given = run(pictures(1), controller.signal);
    controller.abort(new AppError('request.cancelled'));
    await expect(given).rejects.toMatchObject({ code: 'request.cancelled' });
    expect(runtime.queued).toBe(0);
    await first;
    await run(pictures(1));
    expect(ran).toBe(2);
  });

  it('does not hold up the event loop: a deadline is answered while the run goes on', async () => {
    await aRuntime();
    const controller = new AbortController();
    const first = run(pictures(LONG), controller.signal);
    setTimeout(() => controller.abort(new AppError('request.timeout')), 5);
    await expect(first).rejects.toMatchObject({ code: 'request.timeout' });
    expect(ran).toBe(0);
    expect(rejected).toEqual(['timeout']);
    expect((await run(pictures(1))).outputs).toHaveLength(1);
    expect(ran).toBe(2);
  });

  it('takes the process with it when a run passes the hard limit', async () => {
    await aRuntime({ runLimitMs: 1 });
    await run(pictures(LONG));
    expect(deaths).toContain('a run took longer than 1 ms');
  });

  it('is let finish when the worker stops, and the process lives', async () => {
    await aRuntime();
    const first = run(pictures(LONG));
    const waiting = run(pictures(1));
    const closed = runtime.close();
    await expect(waiting).rejects.toMatchObject({ code: 'service.stopping' });
    await closed;
    expect((await first).outputs).toHaveLength(1);
    await expect(run(pictures(1))).rejects.toMatchObject({ code: 'service.stopping' });
  });

  it('refuses what waits for it when it is unloaded', async () => {
    await aRuntime();
    const first = run(pictures(LONG));
    const waiting = run(pictures(1));
    const unloaded = runtime.unload('v1');
    await expect(waiting).rejects.toMatchObject({ code: 'model.not_ready' });
    await Promise.all([first, unloaded]);
    // Its input may have been in preparation meanwhile: that is nobody's fault, and another worker may have the model.
    await expect(run(pictures(1))).rejects.toMatchObject({ code: 'model.not_ready' });
  });
});

describe('tensors that ONNX Runtime refuses', () => {
  it('are told without a path of this machine, and the next call is served', async () => {
    await aRuntime();
    const refused = await run({
      kind: 'tensors',
      feeds: [{ name: 'pixel_values', type: 'float32', dims: [1, 2, 28, 28], data: new Float32Array(2 * 784) }],
    }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RunRefusedError);
    expect((refused as RunRefusedError).message).not.toMatch(/\/\w+\/|\.cc/);
    expect((await run(pictures(1))).outputs).toHaveLength(1);
  });
});
