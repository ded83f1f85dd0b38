import { AppError } from '@weir/kernel';
import { describe, expect, test } from 'vitest';
import { aCall } from './gateway-world.fixture.ts';
import { inferEach } from './infer-many.ts';
import type { InferenceAnswer, InferenceCall } from './inference.ts';

const answerTo = (call: InferenceCall): InferenceAnswer<string> => ({
  receiptId: `receipt of ${call.model}`,
  model: call.model,
  version: '1',
  output: call.model,
  quantities: [],
  cost: { amount: '0', currency: 'EUR' },
  latencyMs: 1,
  isRepeated: false,
  rateLimit: { of: 'key', limit: 1, remaining: 1, resetMs: 1 },
});
const pending = (count: number) =>
  Array.from({ length: count }, (_, index) => () => aCall({ model: `m${index}` }) as InferenceCall<string>);
/** What decides about each call, by its model. */
const inference = (infer: (call: InferenceCall) => Promise<InferenceAnswer<unknown>>) =>
  ({ infer }) as Parameters<typeof inferEach<string>>[0];

describe('many calls', () => {
  test('are answered or refused each by itself, in their order, whoever is done first', async () => {
    const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
    const outcomes = inferEach(
      inference(async (call) => {
        const index = Number(call.model.slice(1));
        await gates[index]?.promise;
        if (index === 1) throw new AppError('model.failed', { field: 'inputs[0]' });
        if (index === 2) throw new TypeError('secret detail');
        return answerTo(call);
      }),
      pending(4),
      4,
    );
    for (const gate of gates.toReversed()) gate.resolve();
    const shown = (await outcomes).map((outcome) =>
      'answer' in outcome ? outcome.answer.output : [outcome.error.code, outcome.error.field],
    );
    expect(shown).toEqual(['m0', ['model.failed', 'inputs[0]'], ['internal.error', undefined], 'm3']);
  });

  test('are under way at most so many at once, and begun in order', async () => {
    let underWay = 0;
    let most = 0;
    const begun: string[] = [];
    await inferEach(
      inference(async (call) => {
        begun.push(call.model);
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setImmediate(resolve));
        underWay--;
        return answerTo(call);
      }),
      pending(20),
      3,
    );
    expect(most).toBe(3);
    expect(begun).toEqual(Array.from({ length: 20 }, (_, index) => `m${index}`));
  });

  test('whose caller goes away are not begun any more', async () => {
    const begun: string[] = [];
    const all = inferEach(
      inference(async (call) => {
        begun.push(call.model);
        if (call.model === 'm2') throw new AppError('request.cancelled');
        await new Promise((resolve) => setImmediate(resolve));
        return answerTo(call);
      }),
      pending(50),
      2,
    );
    await expect(all).rejects.toMatchObject({ code: 'request.cancelled' });
    expect(begun.length).toBeLessThan(6);
  });

  test('one that cannot be said is refused, the others run', async () => {
    const [first, , third] = pending(3);
    const broken = (): never => {
      throw new AppError('request.invalid', { field: 'input.idempotencyKeys[1]' });
    };
    const outcomes = await inferEach(
      inference(async (call) => answerTo(call)),
      [first ?? broken, broken, third ?? broken],
      2,
    );
    expect(outcomes.map((outcome) => ('error' in outcome ? outcome.error.field : 'answered'))).toEqual([
      'answered',
      'input.idempotencyKeys[1]',
      'answered',
    ]);
  });
});
