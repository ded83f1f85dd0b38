import { INTERNAL_TOKEN_HEADER, type Principal } from '@weir/access';
import { aPrincipal, eventually } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { starterFile, starterPackage, startTestWorker, type TestWorker } from './worker.fixture.ts';

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker({
    WEIR_WORKER_QUEUE_LENGTH: '300',
    WEIR_WORKER_MAX_ITEMS: '512',
    WEIR_WORKER_MAX_TEXT_CHARACTERS: '20000',
  });
  const placement = await worker.place('sentiment', 'text-classification', await starterPackage('sentiment'));
  await worker.announced(placement.versionId, 'ready');
});

afterAll(async () => {
  await worker.close();
});

const texts = (data: unknown[], over: Record<string, unknown> = {}) => ({
  inputs: [{ name: 'text', shape: [data.length], datatype: 'BYTES', data, ...over }],
});

describe('a sentence', () => {
  it('is judged as it was when the model was made, and its tokens are counted', async () => {
    const example = JSON.parse((await starterFile('sentiment', 'example.json')).toString()) as {
      texts: string[];
      predicted: string[];
      inputs: { name: string; data: number[] }[];
      outputs: { data: number[] }[];
    };
    const answer = await worker.infer('sentiment', texts(example.texts));
    expect(answer.status).toBe(200);
    const classes = answer.body.outputs?.[0]?.shape[1] ?? 0;
    expect(example.predicted.map((_, index) => answer.body.outputs?.[0]?.data[index * classes])).toEqual(example.predicted);
    const mask = example.inputs.find((input) => input.name === 'attention_mask');
    if (mask !== undefined)
      expect(answer.body.parameters?.usage).toEqual({
        inputs: example.texts.length,
        'input-tokens': mask.data.reduce((sum, one) => sum + one, 0),
      });
  });

  it('gets the same answer alone as beside a longer one', async () => {
    const alone = await worker.infer('sentiment', texts(['Great value.']));
    const beside = await worker.infer(
      'sentiment',
      texts([
        'Great value.',
        'The battery was dead on arrival, the case was cracked, and nobody ever answered any of my letters about it.',
      ]),
    );
    expect(beside.body.outputs?.[0]?.data[0]).toBe(alone.body.outputs?.[0]?.data[0]);
    expect(Math.abs(Number(beside.body.outputs?.[1]?.data[0]) - Number(alone.body.outputs?.[1]?.data[0]))).toBeLessThan(1e-4);
  });

  it('that is longer than the model reads loses its end; that is empty, or in any script, is answered', async () => {
    const answer = await worker.infer('sentiment', texts(['good '.repeat(3000), '', '日本語 🙂 \u0000 \ud800', ' '.repeat(100)]));
    expect(answer.status).toBe(200);
    expect(answer.body.outputs?.[0]?.shape[0]).toBe(4);
  });

  it.each([
    ['of too many characters', texts(['x'.repeat(20_001)]), 400, 'item 0 has 20001 characters, at most 20000 are allowed'],
    ['that is a number', texts([5]), 400, 'input "text": element 0 must be a string (BYTES), got 5'],
    [
      'in a table',
      texts(['a', 'b', 'c', 'd'], { shape: [2, 2] }),
      400,
      'input "text": expected shape [n] with n of at least 1, got [2, 2]',
    ],
    ['in a list of none', texts([]), 400, 'input "text": expected shape [n] with n of at least 1, got [0]'],
    ['among too many', texts(Array.from({ length: 513 }, () => 'a')), 413, 'a call may hold 512 items, got 513'],
  ])('%s is refused with the reason', async (_, body, status, error) => {
    expect(await worker.infer('sentiment', body)).toMatchObject({ status, body: { error } });
  });

  it('as token numbers that the model does not know is refused as input', async () => {
    const signature = (await (await worker.get('/v2/models/sentiment')).json()) as { inputs: { name: string }[] };
    const answer = await worker.infer('sentiment', {
      inputs: signature.inputs.map(({ name }) => ({
        name,
        shape: [1, 2],
        datatype: 'INT64',
        data: [1, name === 'input_ids' ? 999_999_999 : 1],
      })),
    });
    expect(answer.status).toBe(400);
    expect(answer.body.error).toContain('the model refused these tensors');
    expect(answer.body.error).not.toMatch(/\/\w+\/|\.cc/);
  });
});

describe('a worker with more calls than it can take', () => {
  const runsBegun = async () =>
    Number(/^weir_model_queue_seconds_count\{.*\} (\d+)$/m.exec(await (await worker.get('/metrics')).text())?.[1] ?? 0);
  const many = texts(Array.from({ length: 512 }, () => 'a rather good thing '.repeat(300)));

  it('answers those beyond its queue with 429 and Retry-After, those past their deadline with 504, and the others', async () => {
    const before = await runsBegun();
    const long = worker.infer('sentiment', many);
    await eventually(async () => (await runsBegun()) > before);
    const [late, ...rest] = await Promise.all([
      worker.infer('sentiment', texts(['late']), { 'x-weir-timeout-ms': '1' }),
      ...Array.from({ length: 6 }, () => worker.infer('sentiment', texts(['fine']), { 'x-weir-timeout-ms': '60000' })),
    ]);
    expect([504, 429]).toContain(late?.status);
    const refused = rest.filter((answer) => answer.status === 429);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) {
      expect(answer.headers.get('x-weir-error-code')).toBe('worker.overloaded');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(rest.every((answer) => answer.status === 200 || answer.status === 429)).toBe(true);
    expect((await long).status).toBe(200);
  });

  it('drops the call of a caller who has hung up, and counts it', async () => {
    const metric = async (line: RegExp) => Number(line.exec(await (await worker.get('/metrics')).text())?.[1] ?? 0);
    const cancelled = () => metric(/^weir_model_rejections_total\{.*reason="cancelled".*\} (\d+)$/m);
    const arrived = async () => (await runsBegun()) + (await metric(/^weir_model_queue_length\{.*\} (\d+)$/m));
    const [before, arrivedBefore] = [await cancelled(), await arrived()];
    const some = texts(Array.from({ length: 200 }, () => 'a rather good thing '.repeat(300)));
    const long = worker.infer('sentiment', some);
    const controller = new AbortController();
    const abandoned = worker.infer('sentiment', some, {}, controller.signal).catch((error: unknown) => error);
    await eventually(async () => (await arrived()) >= arrivedBefore + 201);
    controller.abort();
    await abandoned;
    await eventually(async () => (await cancelled()) > before);
    expect((await long).status).toBe(200);
  });

  it('tells of a call that is cancelled what had begun to run, and of one that was still waiting nothing; only its tenant can cancel it', async () => {
    const placement = worker.worker()?.versions.find(({ url }) => url !== undefined);
    const cancel = async (principal?: Principal): Promise<number> => {
      const headers = { [INTERNAL_TOKEN_HEADER]: await worker.token(principal), 'content-type': 'application/json' };
      return (await fetch(`${placement?.url ?? ''}/v2/calls/call-7/cancel`, { method: 'POST', headers, body: '{}' })).status;
    };
    const before = await runsBegun();
    const running = worker.infer('sentiment', many, { 'x-weir-call-id': 'call-7' });
    await eventually(async () => (await runsBegun()) > before);
    const waiting = worker.infer('sentiment', texts(['late']), { 'x-weir-timeout-ms': '1' });
    expect(await cancel(aPrincipal({ tenantId: 'globex' }))).toBe(404);
    expect(await cancel()).toBe(200);
    const cancelled = await running;
    expect([cancelled.status, cancelled.headers.get('x-weir-error-code')]).toEqual([499, 'request.cancelled']);
    const [, inputs, tokens] = /^inputs=(\d+),input-tokens=(\d+)$/.exec(cancelled.headers.get('x-weir-usage') ?? '') ?? [];
    expect(Number(inputs)).toBeGreaterThan(0);
    expect(Number(inputs)).toBeLessThan(512);
    expect(Number(tokens)).toBeGreaterThan(Number(inputs));
    expect((await waiting).headers.get('x-weir-usage')).toBeNull();
    expect(await cancel()).toBe(404);
  });

  it('gives up a call whose deadline has passed, also while it runs', async () => {
    const answer = await worker.infer('sentiment', many, { 'x-weir-timeout-ms': '30' });
    expect(answer).toMatchObject({ status: 504, body: { error: 'The call took longer than its 30 ms.' } });
    expect(answer.headers.get('x-weir-error-code')).toBe('request.timeout');
    expect((await worker.infer('sentiment', texts(['x']), { 'x-weir-timeout-ms': 'soon' })).status).toBe(400);
  });
});

describe('a worker that stops', () => {
  it('says that it is draining, then takes itself off the list', async () => {
    const seen: (string | null)[] = [];
    const follower = await worker.bus.follow({
      topics: ['inference.workers'],
      apply: (record) =>
        void seen.push(record.value === null ? null : (JSON.parse(record.value) as { data: { state: string } }).data.state),
    });
    await follower.caughtUp;
    await worker.stop();
    await expect.poll(() => seen.slice(-2)).toEqual(['draining', null]);
    await follower.close();
  });
});
