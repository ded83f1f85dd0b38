import { aPrincipal } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { starterPackage, startTestWorker, type InferenceAnswer, type TestWorker } from './worker.fixture.ts';

const ROUNDS = 6;
const ACME = aPrincipal({ tenantId: 'acme' });
const GLOBEX = aPrincipal({ tenantId: 'globex' });

let worker: TestWorker;

beforeAll(async () => {
  worker = await startTestWorker({ WEIR_WORKER_QUEUE_WAIT_MS: '60000', WEIR_WORKER_QUEUE_LENGTH: '256', WEIR_WORKER_MAX_ITEMS: '512' });
  for (const [model, task] of [
    ['sentiment', 'text-classification'],
    ['sentence-embedder', 'feature-extraction'],
  ] as const) {
    const placement = await worker.place(model, task, await starterPackage(model));
    await worker.announced(placement.versionId, 'ready');
  }
});

afterAll(() => worker.close());

const text = (value: string) => ({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: [value] }] });
/** Tokens of negative words, as many as `length`. */
const tokens = (length: number, rows = 1) => {
  const data = Array.from({ length: rows * length }, (_, index) => 1_000 + ((index * 7) % 1_500));
  const fill = (value: number): number[] => data.map(() => value);
  const shape = [rows, length];
  return {
    inputs: [
      { name: 'input_ids', shape, datatype: 'INT64', data },
      { name: 'attention_mask', shape, datatype: 'INT64', data: fill(1) },
      { name: 'token_type_ids', shape, datatype: 'INT64', data: fill(0) },
    ],
  };
};
const REVIEW = 'The food was wonderful and the staff were kind.';
const LONGER =
  'We waited for an hour, the soup was cold, the waiter was rude, and they would not take it off the bill, so never again, thank you very much.';

type Principal = typeof ACME;
const infer = (model: string, body: unknown, principal: Principal): Promise<InferenceAnswer> =>
  worker.infer(model, body, {}, undefined, principal);
const numbers = ({ body }: InferenceAnswer): number[] => (body.outputs?.at(-1)?.data ?? []).map(Number);
const isNear = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.length > 0 && left.every((value, index) => Math.abs(value - (right[index] ?? Number.NaN)) < 1e-3);

/** Calls of two tenants that wait for the same runs: short texts of one, longer texts and tensors of the other. */
function mixture(model: string): Promise<{ acme: InferenceAnswer[]; globexTexts: InferenceAnswer[]; globexTensors: InferenceAnswer[] }> {
  const many = (count: number, body: unknown, principal: Principal): Promise<InferenceAnswer>[] =>
    Array.from({ length: count }, () => infer(model, body, principal));
  const acme = many(42, text(REVIEW), ACME);
  const globexTexts = many(4, text(LONGER), GLOBEX);
  const globexTensors = many(5, tokens(60), GLOBEX);
  return Promise.all([Promise.all(acme), Promise.all(globexTexts), Promise.all(globexTensors)]).then(([a, b, c]) => ({
    acme: a,
    globexTexts: b,
    globexTensors: c,
  }));
}

describe('calls of two tenants on one model', () => {
  it.each(['sentiment', 'sentence-embedder'])(
    'on %s each get what they get alone: texts beside longer texts and raw tensors',
    async (model) => {
      const alone = {
        acme: await infer(model, text(REVIEW), ACME),
        globexTexts: await infer(model, text(LONGER), GLOBEX),
        globexTensors: await infer(model, tokens(60), GLOBEX),
      };
      for (let round = 0; round < ROUNDS; round++) {
        const answers = await mixture(model);
        for (const caller of ['acme', 'globexTexts', 'globexTensors'] as const) {
          expect(answers[caller].map(({ status }) => status)).toEqual(answers[caller].map(() => 200));
          for (const answer of answers[caller]) {
            expect(answer.body.outputs?.map(({ shape }) => shape)).toEqual(alone[caller].body.outputs?.map(({ shape }) => shape));
            expect(isNear(numbers(answer), numbers(alone[caller]))).toBe(true);
            if (model === 'sentiment' && caller !== 'globexTensors')
              expect(answer.body.outputs?.[0]?.data).toEqual(alone[caller].body.outputs?.[0]?.data);
          }
        }
      }
    },
  );

  it('raw tensors of one tenant, valid and of different lengths, are all answered', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => infer('sentiment', tokens(40 + index, 1 + (index % 3)), ACME)),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  it('a call that fails in a shared run fails alone', async () => {
    const bad = {
      inputs: tokens(12).inputs.map((input) => (input.name === 'input_ids' ? { ...input, data: input.data.map(() => 99_999_999) } : input)),
    };
    const [refused, ...answers] = await Promise.all([
      infer('sentiment', bad, GLOBEX),
      ...Array.from({ length: 20 }, () => infer('sentiment', text(REVIEW), ACME)),
    ]);
    expect(refused?.status).toBe(400);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });
});

describe('a tenant that has more calls than the worker can take', () => {
  it('is refused what is beyond its share of the queue; another tenant is refused nothing, and does not wait for all of it', async () => {
    const many = { inputs: [{ name: 'text', shape: [512], datatype: 'BYTES', data: Array.from({ length: 512 }, () => LONGER.repeat(4)) }] };
    let pending = 0;
    const flood = Array.from({ length: 10 }, async () => {
      pending++;
      try {
        return (await infer('sentiment', many, GLOBEX)).status;
      } finally {
        pending--;
      }
    });
    const statuses: number[] = [];
    let answeredDuringFlood = 0;
    do {
      statuses.push((await infer('sentiment', text(REVIEW), ACME)).status);
      if (pending > 0) answeredDuringFlood++;
    } while (pending > 0);
    const flooded = await Promise.all(flood);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(answeredDuringFlood).toBeGreaterThan(3);
    expect(flooded).toContain(429);
    expect(flooded).toContain(200);
    // A call that is refused is refused as a whole.
    const metrics = await (await worker.get('/metrics')).text();
    expect(/^weir_model_queue_length\{.*sentiment.*\} (\d+)$/m.exec(metrics)?.[1]).toBe('0');
    expect((await infer('sentiment', many, GLOBEX)).status).toBe(200);
  });
});
