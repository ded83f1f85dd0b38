import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { usageRecorded, type EventEnvelope, type Task, type Usage } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { readRequest } from '@weir/open-inference';
import { eventually } from '@weir/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { OpenInferenceWorld } from './open-inference-world.fixture.ts';
import type { WorkerCall } from './protocol-worker.fixture.ts';

let world: OpenInferenceWorld;
let key: string;

beforeAll(async () => {
  world = await OpenInferenceWorld.start();
  key = await world.aKey('acme');
  for (const task of ['text-classification', 'feature-extraction', 'voice-activity-detection'] satisfies Task[])
    await world.deploy({ modelId: `model-${task}`, model: task, task });
  const headers = { authorization: `Bearer ${key}` };
  await eventually(async () => (await fetch(`${world.gateway.url}/v2/models/voice-activity-detection/ready`, { headers })).ok);
});
afterAll(() => world.close());
afterEach(() => {
  world.worker.answers = () => undefined;
});

interface GraphAnswer<Data> {
  readonly data: Data | null;
  readonly errors?: readonly { readonly message: string; readonly extensions: { readonly code: string; readonly field?: string } }[];
  readonly headers: Headers;
}

async function ask<Data>(
  query: string,
  variables: object,
  options: { as?: string; signal?: AbortSignal } = {},
): Promise<GraphAnswer<Data>> {
  const response = await fetch(`${world.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${options.as ?? key}` },
    body: JSON.stringify({ query, variables }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return { ...((await response.json()) as GraphAnswer<Data>), headers: response.headers };
}

const RESULT = `id model version receiptId latencyMs isRepeated usage { meter quantity } cost { amount currency }
  output { __typename ... on Classification { labels { label score } } ... on Classifications { items { labels { label } } }
    ... on Embedding { vector } ... on SpeechActivity { frames segments { startSeconds endSeconds } } ... on Tensors { tensors { name datatype shape data } } }`;
const INFER = `mutation ($input: InferInput!) { infer(input: $input) { ${RESULT} } }`;
const INFER_MANY = `mutation ($input: InferManyInput!) { inferMany(input: $input) {
  cost { amount currency } latencyMs items { result { ${RESULT} } error { code message field retryAfterMs } } } }`;

interface Result {
  readonly receiptId: string;
  readonly isRepeated: boolean;
  readonly output: Readonly<Record<string, unknown>>;
  readonly cost: { readonly amount: string };
}
interface Item {
  readonly result: Result | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly field: string | null;
    readonly retryAfterMs: number | null;
  } | null;
}

const infer = (input: object, options?: Parameters<typeof ask>[2]) => ask<{ infer: Result }>(INFER, { input }, options);
const inferMany = (input: object, options?: Parameters<typeof ask>[2]) =>
  ask<{ inferMany: { items: Item[]; cost: { amount: string; currency: string } } }>(INFER_MANY, { input }, options);

/** The text of a call with one. */
const textOf = (call: WorkerCall): string => String(readRequest(call.body, call.headers).inputs[0]?.data[0 as never]);
/** What a classifier of texts answers. */
const label = (text: string) => ({
  model_name: 'm',
  outputs: [
    { name: 'label', shape: [1, 1], datatype: 'BYTES', data: [text] },
    { name: 'score', shape: [1, 1], datatype: 'FP32', data: [0.5] },
  ],
});
/** Receipts that stand in the spool, and so on the disk. */
const spooledEvents = (): EventEnvelope<Usage>[] =>
  readdirSync(world.spool)
    .filter((name) => name.endsWith('.spool'))
    .flatMap((name) => readFileSync(path.join(world.spool, name), 'utf8').split('\n'))
    .filter((line) => line.includes(usageRecorded.type))
    .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as EventEnvelope<Usage>);
const spooled = (): string[] => spooledEvents().map(({ id }) => id);

const text = (model: string, value: string): object => ({ model, input: { text: value } });

describe('infer', () => {
  test('answers in the type of the task, with usage, cost and receipt', async () => {
    world.worker.answers = (call) => label(textOf(call));
    const { data, errors } = await infer(text('text-classification', 'good'));
    expect(errors).toBeUndefined();
    expect(data?.infer).toMatchObject({
      model: 'text-classification',
      version: '1',
      isRepeated: false,
      output: { __typename: 'Classification', labels: [{ label: 'good', score: 0.5 }] },
      usage: [{ meter: 'requests', quantity: '1' }],
      cost: { amount: '0.0001', currency: 'EUR' },
    });
  });

  test('carries raw tensors there and back as bytes, 64-bit numbers exactly', async () => {
    const tensors = [
      { name: 'x', datatype: 'FP32', shape: [1, 2], data: [[0.5, -1]] },
      { name: 'n', datatype: 'INT64', shape: [1], data: [9_007_199_254_740_991] },
    ];
    for (let round = 0; round < 3; round++) {
      const { data } = await infer({ model: 'digits', input: { tensors } });
      expect(data?.infer.output).toEqual({
        __typename: 'Tensors',
        tensors: [
          { name: 'x', datatype: 'FP32', shape: [1, 2], data: [0.5, -1] },
          { name: 'n', datatype: 'INT64', shape: [1], data: [9_007_199_254_740_991] },
        ],
      });
    }
    expect(world.worker.last.headers['inference-header-content-length']).toBeDefined();
  });

  test('tells the worker options, priority, deadline and the place in a sequence', async () => {
    world.worker.answers = () => ({
      model_name: 'm',
      outputs: [
        { name: 'probability', shape: [1], datatype: 'FP32', data: [1] },
        { name: 'start', shape: [0], datatype: 'FP64', data: [] },
        { name: 'end', shape: [0], datatype: 'FP64', data: [] },
      ],
    });
    const { data } = await infer({
      model: 'voice-activity-detection',
      input: { audio: { base64: 'UklGRg==' } },
      options: { threshold: 0.25 },
      sequence: { id: 'call-9', start: true },
      priority: 'BATCH',
      timeoutMs: 2_000,
    });
    expect(data?.infer.output).toEqual({ __typename: 'SpeechActivity', frames: [1], segments: [] });
    const { headers, body } = world.worker.last;
    expect(readRequest(body, headers).parameters).toMatchObject({ threshold: 0.25, sequence_id: 'call-9', sequence_start: true });
    expect(headers).toMatchObject({ 'x-weir-priority': 'batch' });
    expect(Number(headers['x-weir-timeout-ms'])).toBeLessThanOrEqual(2_000);
  });

  test('takes null where a field may be left out', async () => {
    world.worker.answers = (call) => label(textOf(call));
    const nothing = { alias: null, version: null, options: null, sequence: null, timeoutMs: null, priority: null, idempotencyKey: null };
    expect((await infer({ ...text('text-classification', 'x'), ...nothing })).errors).toBeUndefined();
  });

  test.each<[string, object, string, string]>([
    ['an input for another task', { model: 'digits', input: { text: 'x' } }, 'model.input_invalid', 'input.input.text'],
    ['a time that is too long', { ...text('text-classification', 'x'), timeoutMs: 30_001 }, 'request.invalid', 'input.timeoutMs'],
    ['no time', { ...text('text-classification', 'x'), timeoutMs: 0 }, 'request.invalid', 'input.timeoutMs'],
    ['an empty key', { ...text('text-classification', 'x'), idempotencyKey: '' }, 'request.invalid', 'input.idempotencyKey'],
    [
      'a number that is none',
      { model: 'digits', input: { tensors: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, null] }] } },
      'model.input_invalid',
      'input.input.tensors[0].data[1]',
    ],
  ])('refuses %s by its field', async (_, input, code, field) => {
    const { errors } = await infer(input);
    expect(errors?.[0]?.extensions).toMatchObject({ code, field });
  });

  test("names the field of the worker's own refusal in its own terms", async () => {
    world.worker.answers = () => {
      throw new AppError('model.input_invalid', { field: 'inputs[0].data[1]', message: 'inputs[0].data[1] has 60000 characters' });
    };
    const { errors } = await infer({ model: 'text-classification', input: { texts: ['a', 'b'] } });
    expect(errors).toMatchObject([
      { message: 'input.input.texts[1] has 60000 characters', extensions: { code: 'model.input_invalid', field: 'input.input.texts[1]' } },
    ]);
  });

  test('a worker that answers what no model of the task does is a failure of the model', async () => {
    world.worker.answers = () => ({ model_name: 'm', outputs: [{ name: 'label', shape: [1, 9], datatype: 'BYTES', data: [null] }] });
    const { errors } = await infer(text('text-classification', 'x'));
    expect(errors?.[0]?.extensions.code).toBe('model.failed');
  });

  test('a sequence whose worker is lost is lost, and not tried elsewhere', async () => {
    const asked = world.worker.calls.length;
    world.worker.answers = () => {
      throw new AppError('model.not_ready');
    };
    const call = { model: 'voice-activity-detection', input: { audio: { base64: 'UklGRg==' } } };
    expect((await infer({ ...call, sequence: { id: 'call-9' } })).errors?.[0]?.extensions.code).toBe('sequence.lost');
    expect(world.worker.calls).toHaveLength(asked + 1);
  });

  test('with an idempotency key is run and billed once, also when it is sent twice at once; another call is refused', async () => {
    const gate = Promise.withResolvers<void>();
    const asked = world.worker.calls.length;
    world.worker.answers = async (call) => {
      await gate.promise;
      return label(textOf(call));
    };
    const call = { ...text('text-classification', 'good'), idempotencyKey: 'order-7' };
    const both = [infer(call), infer(call)];
    await eventually(() => world.worker.calls.length > asked);
    gate.resolve();
    const [first, second] = (await Promise.all(both)).map(({ data }) => data?.infer);
    expect([first?.isRepeated, second?.isRepeated].toSorted()).toEqual([false, true]);
    expect(second?.receiptId).toBe(first?.receiptId);
    expect(second?.output).toEqual(first?.output);
    expect((await infer(call)).data?.infer).toMatchObject({ isRepeated: true, receiptId: first?.receiptId, cost: { amount: '0.0001' } });
    expect(world.worker.calls).toHaveLength(asked + 1);
    expect(spooled().filter((id) => id === first?.receiptId)).toHaveLength(1);
    const { errors } = await infer({ ...call, input: { text: 'bad' } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'idempotency.key_reused', field: 'input.idempotencyKey' });
  });
});

describe('inferMany', () => {
  test('answers each input by itself, in order: a result with a receipt, or an error with its field', async () => {
    world.worker.answers = (call) => {
      const value = textOf(call);
      if (value === 'too long') throw new AppError('model.input_invalid', { field: 'inputs[0].data[0]', message: 'the text is too long' });
      return label(value);
    };
    const inputs = [{ text: 'a' }, { text: 'too long' }, { seed: 1 }, { texts: ['b'] }, { text: 'c' }];
    const { data, errors, headers } = await inferMany({ model: 'text-classification', inputs });
    expect(errors).toBeUndefined();
    const items = data?.inferMany.items ?? [];
    expect(items.map(({ result, error }) => result?.output ?? [error?.code, error?.field])).toEqual([
      { __typename: 'Classification', labels: [{ label: 'a', score: 0.5 }] },
      ['model.input_invalid', 'input.inputs[1].text'],
      ['model.input_invalid', 'input.inputs[2].seed'],
      { __typename: 'Classifications', items: [{ labels: [{ label: 'b' }] }] },
      { __typename: 'Classification', labels: [{ label: 'c', score: 0.5 }] },
    ]);
    expect(data?.inferMany.cost).toEqual({ amount: '0.0003', currency: 'EUR' });
    const receipts = items.flatMap(({ result }) => result?.receiptId ?? []);
    expect(new Set(receipts).size).toBe(3);
    expect(spooled()).toEqual(expect.arrayContaining(receipts));
    expect(headers.get('ratelimit')).toContain('"requests"');
  });

  test('each input counts towards the limits; those beyond are refused by themselves, with a time to come again', async () => {
    world.worker.answers = (call) => label(textOf(call));
    const narrow = await world.aKey('acme', ['infer'], 5);
    const { data, headers } = await inferMany(
      { model: 'text-classification', inputs: Array.from({ length: 8 }, (_, index) => ({ text: `t${index}` })) },
      { as: narrow },
    );
    const codes = data?.inferMany.items.map(({ error }) => error?.code ?? 'answered');
    expect(codes?.toSorted()).toEqual([...Array<string>(5).fill('answered'), ...Array<string>(3).fill('limit.requests')]);
    expect(data?.inferMany.items.find(({ error }) => error !== null)?.error?.retryAfterMs).toBeGreaterThan(0);
    expect(headers.get('ratelimit')).toContain('r=0');
  });

  test('sent again with its keys runs only what was not answered', async () => {
    let isBroken = true;
    world.worker.answers = (call) => {
      if (textOf(call) === 'b' && isBroken) throw new AppError('worker.overloaded');
      return label(textOf(call));
    };
    const input = { model: 'text-classification', inputs: [{ text: 'a' }, { text: 'b' }], idempotencyKeys: ['many-0', 'many-1'] };
    const first = await inferMany(input);
    expect(first.data?.inferMany.items.map(({ error }) => error?.code)).toEqual([undefined, 'worker.overloaded']);
    isBroken = false;
    const asked = world.worker.calls.length;
    const second = await inferMany(input);
    expect(second.data?.inferMany.items.map(({ result }) => result?.isRepeated)).toEqual([true, false]);
    expect(second.data?.inferMany.items[0]?.result?.receiptId).toBe(first.data?.inferMany.items[0]?.result?.receiptId);
    expect(second.data?.inferMany.cost.amount).toBe('0.0001');
    expect(world.worker.calls).toHaveLength(asked + 1);
  });

  test('what refuses all of them alike is one error', async () => {
    const inputs = [{ text: 'a' }];
    const refusals: [object, string, string | undefined][] = [
      [{ model: 'nothing', inputs }, 'model.not_found', undefined],
      [{ model: 'text-classification', inputs: [] }, 'request.invalid', 'input.inputs'],
      [{ model: 'text-classification', inputs: Array.from({ length: 257 }, () => ({ text: 'a' })) }, 'request.invalid', 'input.inputs'],
      [{ model: 'text-classification', inputs, idempotencyKeys: ['a', 'b'] }, 'request.invalid', 'input.idempotencyKeys'],
      [{ model: 'text-classification', inputs, timeoutMs: 90_000 }, 'request.invalid', 'input.timeoutMs'],
    ];
    for (const [input, code, field] of refusals) {
      const { errors } = await inferMany(input);
      expect([errors?.[0]?.extensions.code, errors?.[0]?.extensions.field]).toEqual([code, field]);
    }
  });

  test('whose caller disconnects is not gone on with: what had begun to run is metered as cancelled, the rest costs nothing', async () => {
    world.worker.started = 'inputs=1,input-tokens=4';
    const metered = spooled().length;
    const caller = new AbortController();
    const asked = world.worker.calls.length;
    world.worker.answers = () => new Promise(() => undefined);
    const all = inferMany(
      { model: 'text-classification', inputs: Array.from({ length: 100 }, (_, index) => ({ text: `t${index}` })) },
      { signal: caller.signal },
    );
    await eventually(() => world.worker.calls.length >= asked + 16);
    caller.abort();
    await expect(all).rejects.toThrow();
    await Promise.all(world.worker.calls.slice(asked).map((call) => call.hungUp));
    expect(world.worker.calls.length).toBeLessThanOrEqual(asked + 16);
    await eventually(() => spooled().length >= metered + 16);
    world.worker.started = null;
    const cancelled = spooledEvents().slice(metered);
    expect(cancelled).toHaveLength(16);
    expect(
      cancelled.every(({ data }) => data.outcome === 'cancelled' && data.quantities.some(({ meter }) => meter === 'input-tokens')),
    ).toBe(true);
  });
});
