import { AppError, systemClock } from '@weir/kernel';
import { beforeEach, describe, expect, test } from 'vitest';
import type { GatewaySettings } from '../settings.ts';
import type { SpoolRecord } from '../spool/segment.ts';
import { UsageSpool } from '../spool/usage-spool.ts';
import { Admission } from './admission.ts';
import { aCall, aCatalogue, anEntitlement, aPrincipal, aWorker } from './gateway-world.fixture.ts';
import { presenceOfSignal } from './caller-presence.ts';
import { InferenceService } from './inference.service.ts';
import { InMemoryReservations } from './reservations.ts';
import { Router } from './routing.ts';
import { Settlements } from './settlement.ts';
import { WorkerLostError, type WorkerAnswer, type WorkerClient, type WorkerRequest } from './worker-client.ts';

const settings = { requestsPerMinute: 100, maxInFlight: 10, inferenceTimeoutMs: 1_000 } as GatewaySettings;

let recorded: SpoolRecord[];
let asked: WorkerRequest[];
let run: (request: WorkerRequest) => Promise<WorkerAnswer>;
let hasRoom: boolean;
let isDiskGood: boolean;
let reservations: InMemoryReservations;
let admission: Admission;

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
  return new InferenceService(
    settings,
    systemClock,
    catalogue,
    admission,
    reservations,
    new Router(catalogue),
    workers as WorkerClient,
    new Settlements(spool as UsageSpool, { next: () => 'receipt-1' }, systemClock, { name: 'gateway', instanceId: 'gateway-1' }),
    spool as UsageSpool,
  );
}

beforeEach(() => {
  recorded = [];
  asked = [];
  run = async () => counted;
  hasRoom = true;
  isDiskGood = true;
  reservations = new InMemoryReservations();
  admission = new Admission(settings);
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

  test('whose caller went away while it ran is not recorded', async () => {
    const caller = new AbortController();
    run = async () => {
      caller.abort();
      return counted;
    };
    await expect(service().infer(aCall({ caller: presenceOfSignal(caller.signal) }))).rejects.toMatchObject({ code: 'request.cancelled' });
    expect(recorded).toEqual([]);
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
