import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AppError } from '@weir/kernel';
import { TestClock } from '@weir/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { presenceOfSignal } from '../caller-presence.ts';
import { KEY_LIFE_MS } from './idempotency-key.ts';
import { IdempotentCalls, type IdempotentCall } from './idempotent-calls.ts';
import { anAnswer, anIdentity, silent } from './kept-answers.fixture.ts';
import { KeptAnswers, type KeptAnswer } from './kept-answers.ts';

let directory: string;
let clock: TestClock;
let answers: KeptAnswers;
let calls: IdempotentCalls;
let runs: number;

const aCall = (overrides: Partial<IdempotentCall> = {}): IdempotentCall => ({
  tenantId: 'acme',
  identity: anIdentity('a'),
  field: 'input.idempotencyKey',
  timeoutMs: 5_000,
  ...overrides,
});
const another = anIdentity('a', 'another call');

/** A run that ends when it is told to. */
function aSlowRun(): { run: () => Promise<KeptAnswer>; finish: (outcome: KeptAnswer | AppError) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<KeptAnswer>();
  return {
    run: () => {
      runs++;
      return promise;
    },
    finish: (outcome) => (outcome instanceof AppError ? reject(outcome) : resolve(outcome)),
  };
}
const quickRun = async (): Promise<KeptAnswer> => {
  runs++;
  return anAnswer(`run ${runs}`, { receiptId: `receipt-${runs}` });
};

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-answers-'));
  clock = new TestClock();
  answers = await KeptAnswers.open({ directory, maxBytes: 16_777_216, maxKeys: 8 }, clock, silent);
  calls = new IdempotentCalls(answers);
  runs = 0;
});

afterEach(async () => {
  await answers.close();
  await rm(directory, { recursive: true, force: true });
});

describe('a call with an idempotency key', () => {
  test('that is sent again gets the same answer, and nothing runs; after 24 hours it is a new one', async () => {
    const first = await calls.once(aCall(), quickRun);
    expect(first.isRepeated).toBe(false);
    clock.advance(KEY_LIFE_MS - 1);
    expect(await calls.once(aCall(), quickRun)).toEqual({ answer: first.answer, isRepeated: true });
    expect(runs).toBe(1);
    clock.advance(1);
    expect(await calls.once(aCall(), quickRun)).toMatchObject({ answer: { receiptId: 'receipt-2' }, isRepeated: false });
  });

  test('that is sent again while the first is under way waits for it, however many they are', async () => {
    const { run, finish } = aSlowRun();
    const all = Array.from({ length: 5 }, () => calls.once(aCall(), run));
    finish(anAnswer('slow'));
    const outcomes = await Promise.all(all);
    expect(runs).toBe(1);
    expect(outcomes.map(({ isRepeated }) => isRepeated)).toEqual([false, true, true, true, true]);
    expect(new Set(outcomes.map(({ answer }) => answer.message.body.toString()))).toEqual(new Set(['slow']));
  });

  test('whose answer was too large to keep still has one answer for those who wait', async () => {
    const { run, finish } = aSlowRun();
    const all = [calls.once(aCall(), run), calls.once(aCall(), run)];
    finish(anAnswer('x'.repeat(5_000_000)));
    await Promise.all(all);
    expect(runs).toBe(1);
  });

  test('whose answer is too large to store is not executed again: a repeat is refused with its receipt, also by the next process', async () => {
    await calls.once(aCall(), async () => anAnswer('x'.repeat(5_000_000), { receiptId: 'receipt-7' }));
    const refusal = expect.objectContaining({
      code: 'idempotency.answer_not_stored',
      kind: 'conflict',
      field: 'input.idempotencyKey',
      message: expect.stringContaining('receipt-7') as unknown,
    }) as unknown;
    await expect(calls.once(aCall(), quickRun)).rejects.toEqual(refusal);
    await answers.close();
    answers = await KeptAnswers.open({ directory, maxBytes: 16_777_216, maxKeys: 8 }, clock, silent);
    calls = new IdempotentCalls(answers);
    await expect(calls.once(aCall(), quickRun)).rejects.toEqual(refusal);
    await expect(calls.once(aCall({ identity: another }), quickRun)).rejects.toMatchObject({ code: 'idempotency.key_reused' });
    expect(runs).toBe(0);
    clock.advance(KEY_LIFE_MS);
    await expect(calls.once(aCall(), quickRun)).resolves.toMatchObject({ isRepeated: false });
  });

  test('with a new key is refused, and does not run, when its tenant has used its share of keys; for another tenant it runs', async () => {
    for (const key of ['a', 'b']) await calls.once(aCall({ identity: anIdentity(key) }), quickRun);
    await expect(calls.once(aCall({ identity: anIdentity('c') }), quickRun)).rejects.toMatchObject({ code: 'idempotency.too_many_keys' });
    await expect(calls.once(aCall({ identity: anIdentity('a') }), quickRun)).resolves.toMatchObject({ isRepeated: true });
    await calls.once(aCall({ identity: anIdentity('d'), tenantId: 'globex' }), quickRun);
    expect(runs).toBe(3);
    clock.advance(KEY_LIFE_MS);
    await calls.once(aCall({ identity: anIdentity('c') }), quickRun);
    expect(runs).toBe(4);
  });

  test('that failed is forgotten: of those who waited one runs it, the others get its answer', async () => {
    const { run, finish } = aSlowRun();
    const first = calls.once(aCall(), run);
    const waiting = [calls.once(aCall(), quickRun), calls.once(aCall(), quickRun), calls.once(aCall(), quickRun)];
    finish(new AppError('model.failed'));
    await expect(first).rejects.toMatchObject({ code: 'model.failed' });
    const outcomes = await Promise.all(waiting);
    expect(runs).toBe(2);
    expect(new Set(outcomes.map(({ answer }) => answer.receiptId))).toEqual(new Set(['receipt-2']));
    expect(outcomes.filter(({ isRepeated }) => !isRepeated)).toHaveLength(1);
  });

  test('whose key stands for another call is refused, while that one is under way and afterwards; what failed does not count', async () => {
    const { run, finish } = aSlowRun();
    const refused = expect.objectContaining({ code: 'idempotency.key_reused', kind: 'conflict', field: 'input.idempotencyKey' });
    const first = calls.once(aCall(), run);
    await expect(calls.once(aCall({ identity: another }), quickRun)).rejects.toEqual(refused);
    finish(new AppError('model.failed'));
    await expect(first).rejects.toBeInstanceOf(AppError);
    await calls.once(aCall(), quickRun);
    await expect(calls.once(aCall({ identity: another }), quickRun)).rejects.toEqual(refused);
    expect(runs).toBe(2);
    clock.advance(KEY_LIFE_MS);
    await expect(calls.once(aCall({ identity: another }), quickRun)).resolves.toMatchObject({ isRepeated: false });
  });

  test('that cannot wait any longer is refused for now, with a time to come again', async () => {
    const { run, finish } = aSlowRun();
    const first = calls.once(aCall(), run);
    await expect(calls.once(aCall({ timeoutMs: 20 }), quickRun)).rejects.toMatchObject({
      code: 'idempotency.under_way',
      kind: 'conflict',
      retryAfterMs: 1_000,
    });
    finish(anAnswer());
    await first;
    expect(await calls.once(aCall(), quickRun)).toMatchObject({ isRepeated: true });
    expect(runs).toBe(1);
  });

  test('whose caller goes away while it waits for the first one ends there', async () => {
    const { run, finish } = aSlowRun();
    const first = calls.once(aCall(), run);
    const caller = new AbortController();
    const waiting = calls.once(aCall({ caller: presenceOfSignal(caller.signal) }), quickRun);
    caller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'request.cancelled' });
    await expect(calls.once(aCall({ caller: presenceOfSignal(caller.signal) }), quickRun)).rejects.toMatchObject({
      code: 'request.cancelled',
    });
    finish(anAnswer());
    await first;
    expect(runs).toBe(1);
  });
});
