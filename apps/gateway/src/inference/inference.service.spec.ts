import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Usage } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import type { EncodedMessage } from '@weir/open-inference';
import { Registry } from '@weir/platform/telemetry';
import { TestClock } from '@weir/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GatewaySettings } from '../settings.ts';
import type { SpoolRecord } from '../spool/segment.ts';
import { UsageSpool } from '../spool/usage-spool.ts';
import { Admission } from './admission.ts';
import { aCall, aCatalogue, aDeployment, anEntitlement, aPrincipal, aWorker } from './gateway-world.fixture.ts';
import { presenceOfSignal } from './caller-presence.ts';
import { idempotencyKey, KEY_LIFE_MS } from './idempotency/idempotency-key.ts';
import { IdempotentCalls } from './idempotency/idempotent-calls.ts';
import { silent } from './idempotency/kept-answers.fixture.ts';
import { KeptAnswers } from './idempotency/kept-answers.ts';
import { InferenceService } from './inference.service.ts';
import { InterruptedCalls } from './interrupted-calls.ts';
import { InMemoryReservations } from './reservations.ts';
import { Router } from './routing.ts';
import { Settlements } from './settlement.ts';
import { InterruptedCallError, WorkerLostError, type WorkerAnswer, type WorkerClient, type WorkerRequest } from './worker-client.ts';

const settings = {
  requestsPerMinute: 100,
  maxInFlight: 10,
  tenantRequestsPerMinute: 1_000,
  tenantMaxInFlight: 100,
  gatewayMaxInFlight: 1_000,
  inferenceTimeoutMs: 1_000,
} as GatewaySettings;

let recorded: SpoolRecord[];
let asked: WorkerRequest[];
let run: (request: WorkerRequest) => Promise<WorkerAnswer>;
let hasRoom: boolean;
let isDiskGood: boolean;
let reservations: InMemoryReservations;
let admission: Admission;
let directory: string;
let clock: TestClock;
let answers: KeptAnswers;
let metrics: Registry;

const counted: WorkerAnswer = {
  message: { headers: { 'content-type': 'application/json' }, body: Buffer.from('{"outputs":[]}') },
  quantities: [{ meter: 'inputs', quantity: '2' }],
};

function service(catalogue = aCatalogue()): InferenceService {
  const spool: Pick<UsageSpool, 'enter' | 'append'> = {
    enter: () => {
      if (!hasRoom) throw new AppError('usage.unrecordable');
      return () => undefined;
    },
    append: async (record) => {
      if (!isDiskGood) throw new AppError('usage.unrecordable');
      recorded.push(record);
    },
  };
  const workers: Pick<WorkerClient, 'infer'> = {
    infer: (request) => {
      asked.push(request);
      return run(request);
    },
  };
  const settlements = new Settlements(spool as UsageSpool, { next: () => 'receipt-1' }, clock, {
    name: 'gateway',
    instanceId: 'gateway-1',
  });
  metrics = new Registry();
  return new InferenceService(
    settings,
    clock,
    catalogue,
    admission,
    reservations,
    new Router(catalogue),
    workers as WorkerClient,
    settlements,
    new InterruptedCalls(settlements, metrics),
    spool as UsageSpool,
    new IdempotentCalls(answers),
  );
}

/** Recorded usage, one entry for each call. */
const usages = (): Usage[] => recorded.map(({ value }) => (JSON.parse(value) as { data: Usage }).data);

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-inference-'));
  clock = new TestClock();
  answers = await KeptAnswers.open({ directory, maxBytes: 16_777_216, maxKeys: 1_000 }, clock, silent);
  recorded = [];
  asked = [];
  run = async () => counted;
  hasRoom = true;
  isDiskGood = true;
  reservations = new InMemoryReservations();
  admission = new Admission(settings, aCatalogue());
});

afterEach(async () => {
  await answers.close();
  await rm(directory, { recursive: true, force: true });
});

describe('an inference', () => {
  test('is recorded once, with what the worker counted and what it costs, before it is answered', async () => {
    const answer = await service().infer(aCall());
    expect(answer).toMatchObject({ receiptId: 'receipt-1', model: 'digits', version: '1', cost: { amount: '0.0009', currency: 'EUR' } });
    expect(recorded).toHaveLength(1);
    const event = JSON.parse(recorded[0]?.value ?? '') as { data: Record<string, unknown> };
    expect(event).toMatchObject({ id: 'receipt-1', type: 'inference.usage.recorded.v1', tenant: 'acme', source: 'gateway' });
    expect(event.data).toMatchObject({
      tenantId: 'acme',
      principalId: 'key-1',
      cost: { amount: '0.0009', currency: 'EUR' },
      quantities: [
        { meter: 'requests', quantity: '1', amount: '0.0001' },
        { meter: 'inputs', quantity: '2', amount: '0.0008' },
      ],
    });
  });

  test('that fails, times out, or whose answer the surface cannot say is not recorded, and frees its places', async () => {
    run = () => Promise.reject(new AppError('model.failed'));
    await expect(service().infer(aCall())).rejects.toMatchObject({ code: 'model.failed' });
    run = async () => counted;
    const unreadable = aCall({
      read: () => {
        throw new AppError('model.failed');
      },
    });
    await expect(service().infer(unreadable)).rejects.toMatchObject({ code: 'model.failed' });
    await expect(service().infer(aCall({ arrivedAtMs: performance.now() - 2_000 }))).rejects.toMatchObject({ code: 'request.timeout' });
    expect(recorded).toEqual([]);
    expect(reservations.reserved('acme')).toBe('0');
  });

  test.each([
    ['times out', 'request.timeout', 'timed_out'],
    ['is cancelled', 'request.cancelled', 'cancelled'],
  ] as const)(
    'that %s after parts of it had begun to run is metered by those parts, before its error, which names the receipt',
    async (_, code, outcome) => {
      run = () => Promise.reject(new InterruptedCallError(code, [{ meter: 'inputs', quantity: '1' }]));
      await expect(service().infer(aCall())).rejects.toMatchObject({ code, message: expect.stringContaining('receipt-1') as unknown });
      expect(usages()).toMatchObject([
        {
          receiptId: 'receipt-1',
          outcome,
          cost: { amount: '0.0005', currency: 'EUR' },
          quantities: [
            { meter: 'requests', quantity: '1' },
            { meter: 'inputs', quantity: '1' },
          ],
        },
      ]);
      expect(reservations.reserved('acme')).toBe('0');
      expect(await metrics.metrics()).toContain(`weir_interrupted_calls_total{outcome="${outcome}",metered="yes"} 1`);
      isDiskGood = false;
      await expect(service().infer(aCall())).rejects.toMatchObject({ code: 'usage.unrecordable' });
    },
  );

  test.each(['request.timeout', 'request.cancelled'] as const)(
    'that ends with %s before anything had begun to run costs nothing',
    async (code) => {
      run = () => Promise.reject(new AppError(code));
      await expect(service().infer(aCall())).rejects.toMatchObject({ code });
      expect(recorded).toEqual([]);
      expect(await metrics.metrics()).toMatch(/weir_interrupted_calls_total\{outcome="\w+",metered="no"\} 1/);
    },
  );

  test('whose caller disconnected while its answer was on its way is metered in full; one that had disconnected before does not run', async () => {
    const caller = new AbortController();
    run = async () => {
      caller.abort();
      return counted;
    };
    const presence = presenceOfSignal(caller.signal);
    await expect(service().infer(aCall({ caller: presence }))).rejects.toMatchObject({ code: 'request.cancelled' });
    expect(usages()).toMatchObject([{ outcome: 'cancelled', cost: { amount: '0.0009' } }]);
    await expect(service().infer(aCall({ caller: presence }))).rejects.toMatchObject({ code: 'request.cancelled' });
    expect(asked).toHaveLength(1);
    expect(recorded).toHaveLength(1);
  });

  test('that is answered says no outcome, as records of older writers', async () => {
    await service().infer(aCall());
    expect(usages()[0]).not.toHaveProperty('outcome');
  });

  test('is refused before it runs when its usage could not be recorded, and not answered when the disk refuses', async () => {
    hasRoom = false;
    await expect(service().infer(aCall())).rejects.toMatchObject({ code: 'usage.unrecordable' });
    expect(asked).toEqual([]);
    hasRoom = true;
    isDiskGood = false;
    await expect(service().infer(aCall())).rejects.toMatchObject({ code: 'usage.unrecordable' });
    expect(reservations.reserved('acme')).toBe('0');
  });

  test('that loses its worker is run by another one, once', async () => {
    const catalogue = aCatalogue({
      workers: [aWorker({ id: 'one', url: 'http://one' }), aWorker({ id: 'two', url: 'http://two' }), aWorker({ id: 'three' })],
    });
    run = (request) => (request.url === 'http://one' ? Promise.reject(new WorkerLostError('gone')) : Promise.resolve(counted));
    await service(catalogue).infer(aCall());
    expect(asked.map((request) => request.url)).toEqual(['http://one', 'http://two']);
    expect(recorded).toHaveLength(1);
    run = () => Promise.reject(new WorkerLostError('gone'));
    asked = [];
    await expect(service(catalogue).infer(aCall())).rejects.toMatchObject({ code: 'worker.unreachable' });
    expect(asked).toHaveLength(2);
    expect(recorded).toHaveLength(1);
  });

  test('in a sequence goes to one worker and is lost with it: nobody else is asked, nothing is billed', async () => {
    const catalogue = aCatalogue({
      workers: ['one', 'two', 'three'].map((id) => aWorker({ id, url: `http://${id}` })),
    });
    const one = service(catalogue);
    for (let call = 0; call < 3; call++) await one.infer(aCall({ sequenceId: 'talk' }));
    expect(new Set(asked.map((request) => request.url)).size).toBe(1);
    asked = [];
    recorded = [];
    run = () => Promise.reject(new WorkerLostError('gone'));
    await expect(one.infer(aCall({ sequenceId: 'talk' }))).rejects.toMatchObject({ code: 'sequence.lost' });
    expect(asked).toHaveLength(1);
    expect(recorded).toEqual([]);
  });

  test('of another tenant with the same sequence id may go elsewhere', async () => {
    const workers = Array.from({ length: 20 }, (_, id) => aWorker({ id: `worker-${id}`, url: `http://worker-${id}` }));
    const one = service(aCatalogue({ workers, entitlements: [anEntitlement(), anEntitlement({ tenantId: 'globex' })] }));
    for (const tenantId of ['acme', 'globex']) await one.infer(aCall({ sequenceId: 'talk', principal: aPrincipal({ tenantId }) }));
    expect(new Set(asked.map((request) => request.url)).size).toBe(2);
  });

  test('tells the worker its priority, and how long the caller waits: as long as the caller says, but no longer than the platform allows', async () => {
    await service().infer(aCall({ priority: 'batch', timeoutMs: 200 }));
    await service().infer(aCall({ timeoutMs: 5_000 }));
    expect(asked[0]).toMatchObject({ priority: 'batch' });
    expect(asked[0]?.timeoutMs).toBeLessThanOrEqual(200);
    expect(asked[1]?.priority).toBeUndefined();
    expect(asked[1]?.timeoutMs).toBeGreaterThan(200);
    expect(asked[1]?.timeoutMs).toBeLessThanOrEqual(1_000);
    const late = aCall({ timeoutMs: 200, arrivedAtMs: performance.now() - 300 });
    await expect(service().infer(late)).rejects.toMatchObject({ code: 'request.timeout' });
    expect(asked).toHaveLength(2);
  });

  test('holds its place among those in flight exactly as long as it runs', async () => {
    const limits = { requestsPerMinute: 100, maxInFlight: 1 };
    let finish = (): void => undefined;
    run = () => new Promise((resolve) => (finish = () => resolve(counted)));
    const one = service();
    const first = one.infer(aCall({ limits }));
    await expect(one.infer(aCall({ limits }))).rejects.toMatchObject({ code: 'limit.in_flight' });
    finish();
    await first;
    run = async () => counted;
    await expect(one.infer(aCall({ limits }))).resolves.toMatchObject({ receiptId: 'receipt-1' });
  });
});

describe('an inference with an idempotency key', () => {
  const key = idempotencyKey('order-7', 'input.idempotencyKey');

  test('that is interrupted after it began to run has a receipt of its own: its repeat runs, and is answered under the receipt of the key', async () => {
    run = () => Promise.reject(new InterruptedCallError('request.timeout', [{ meter: 'inputs', quantity: '1' }]));
    await expect(service().infer(aCall({ idempotencyKey: key }))).rejects.toMatchObject({ code: 'request.timeout' });
    run = async () => counted;
    const answered = await service().infer(aCall({ idempotencyKey: key }));
    expect(answered).toMatchObject({ isRepeated: false });
    expect(usages().map(({ receiptId, outcome }) => [receiptId, outcome])).toEqual([
      ['receipt-1', 'timed_out'],
      [answered.receiptId, undefined],
    ]);
    expect(answered.receiptId).not.toBe('receipt-1');
    expect(usages()[0]).not.toHaveProperty('neighbourReceiptIds');
  });

  test('whose caller disconnects while it runs is finished, and its repeat gets the answer without running', async () => {
    const caller = new AbortController();
    run = async () => {
      caller.abort();
      return counted;
    };
    const first = await service().infer(aCall({ idempotencyKey: key, caller: presenceOfSignal(caller.signal) }));
    expect(asked[0]?.caller).toBeUndefined();
    expect(await service().infer(aCall({ idempotencyKey: key }))).toMatchObject({ isRepeated: true, receiptId: first.receiptId });
    expect(asked).toHaveLength(1);
    expect(usages()).toMatchObject([{ receiptId: first.receiptId }]);
  });

  const eventIds = (): unknown[] => recorded.map(({ value }) => (JSON.parse(value) as { id: string }).id);

  test('is answered the same when it is sent again, also by the next process, and is run and recorded once', async () => {
    const first = await service().infer(aCall({ idempotencyKey: key }));
    expect(first).toMatchObject({ isRepeated: false, cost: { amount: '0.0009' } });
    await answers.close();
    answers = await KeptAnswers.open({ directory, maxBytes: 16_777_216, maxKeys: 1_000 }, clock, silent);
    const { latencyMs, ...again } = await service().infer(aCall({ idempotencyKey: key, timeoutMs: 500, priority: 'batch' }));
    expect(again).toEqual({ ...first, isRepeated: true, latencyMs: undefined, rateLimit: expect.anything() as unknown });
    expect(latencyMs).toBeGreaterThan(0);
    expect(asked).toHaveLength(1);
    expect(eventIds()).toEqual([first.receiptId]);
  });

  test('has one receipt at two gateways that do not know of each other, whichever records it', async () => {
    const first = await service().infer(aCall({ idempotencyKey: key }));
    await answers.close();
    answers = await KeptAnswers.open({ directory: path.join(directory, 'another'), maxBytes: 16_777_216, maxKeys: 1_000 }, clock, silent);
    const second = await service().infer(aCall({ idempotencyKey: key }));
    expect(second).toMatchObject({ receiptId: first.receiptId, isRepeated: false });
    expect(new Set(eventIds()).size).toBe(1);
    clock.advance(KEY_LIFE_MS);
    const nextDay = await service().infer(aCall({ idempotencyKey: key }));
    expect(nextDay.receiptId).not.toBe(first.receiptId);
    expect(JSON.parse(recorded.at(-1)?.value ?? '')).toMatchObject({
      data: { receiptId: nextDay.receiptId, neighbourReceiptIds: [first.receiptId, expect.any(String)] },
    });
  });

  test('is refused for another call, and is free for another tenant and another model', async () => {
    const others = aCatalogue({
      deployments: [aDeployment(), aDeployment({ model: 'letters', modelId: 'model-2' })],
      entitlements: [anEntitlement(), anEntitlement({ tenantId: 'globex' })],
    });
    const one = service(others);
    await one.infer(aCall({ idempotencyKey: key }));
    const request = (): EncodedMessage => ({ headers: {}, body: Buffer.from('{"another":"body"}') });
    await expect(one.infer(aCall({ idempotencyKey: key, request }))).rejects.toMatchObject({ code: 'idempotency.key_reused' });
    await one.infer(aCall({ idempotencyKey: key, request, principal: aPrincipal({ tenantId: 'globex' }) }));
    await one.infer(aCall({ idempotencyKey: key, request, model: 'letters' }));
    expect(new Set(eventIds()).size).toBe(3);
  });

  test('counts towards the limits each time, and is refused when the tenant may no longer use the model', async () => {
    const limits = { requestsPerMinute: 2, maxInFlight: null };
    const one = service();
    for (let time = 0; time < 2; time++) await one.infer(aCall({ idempotencyKey: key, limits }));
    await expect(one.infer(aCall({ idempotencyKey: key, limits }))).rejects.toMatchObject({ code: 'limit.requests' });
    await expect(service(aCatalogue({ entitlements: [] })).infer(aCall({ idempotencyKey: key }))).rejects.toMatchObject({
      code: 'subscription.required',
    });
  });

  test('whose usage cannot be recorded is not kept either: the next time it runs', async () => {
    isDiskGood = false;
    await expect(service().infer(aCall({ idempotencyKey: key }))).rejects.toMatchObject({ code: 'usage.unrecordable' });
    isDiskGood = true;
    expect(await service().infer(aCall({ idempotencyKey: key }))).toMatchObject({ isRepeated: false });
    expect(asked).toHaveLength(2);
    expect(recorded).toHaveLength(1);
  });
});
