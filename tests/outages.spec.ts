import { setTimeout as sleep } from 'node:timers/promises';
import { Decimal } from '@weir/kernel';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allReceipts, invoicedQuantities, openInvoice, quantitiesOf, totalOf } from './harness/books.ts';
import { eventually } from './harness/eventually.ts';
import { aText, PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform, type ServiceName } from './harness/running-platform.ts';

const CONTROL_PLANE = ['auth', 'registry', 'metering', 'billing'] as const;
/** Long enough for spools to be shipped, consumers to rebalance and hourly sums to arrive on a busy machine. */
const SETTLE_TIMEOUT_MS = 120_000;

/** A call is tried again until it is answered, as a client of the platform does; but no longer than this. */
const GIVE_UP_MS = 60_000;
const RETRY_MS = 100;

interface Calls {
  /** Receipts of the calls that were answered. */
  readonly answered: string[];
  /** How attempts failed, and how often. */
  readonly failures: Map<string, number>;
}

describe('nothing answered is lost, nothing is billed twice', () => {
  let platform: RunningPlatform;
  let administrator: PlatformClient;
  let client: PlatformClient;
  const answered: string[] = [];

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    administrator = await platform.administrator();
    const { createApiKey } = await administrator.data<{ createApiKey: { secret: string } }>(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }',
      {
        input: { name: 'outages', limits: { requestsPerMinute: 1_000_000, maxInFlight: 500 } },
      },
    );
    client = new PlatformClient(platform.url, createApiKey.secret);
    await eventually(async () => expect((await client.openInfer('sentiment', aText('ready'))).status).toBe(200));
  });
  afterAll(() => platform.stop());

  /** Has `count` calls answered, 16 at a time; `during` is told how many are. */
  async function call(count: number, during: (answered: number) => void = () => undefined): Promise<Calls> {
    const calls: Calls = { answered: [], failures: new Map() };
    let next = 0;
    const one = async (): Promise<void> => {
      while (next < count) {
        const n = next++;
        calls.answered.push(await answerOf(n, calls.failures));
        during(calls.answered.length);
      }
    };
    await Promise.all(Array.from({ length: 16 }, one));
    return calls;
  }

  async function answerOf(n: number, failures: Map<string, number>): Promise<string> {
    const deadline = Date.now() + GIVE_UP_MS;
    for (;;) {
      const outcome = await attempt(n);
      if (outcome.receiptId !== null) return outcome.receiptId;
      failures.set(outcome.failure, (failures.get(outcome.failure) ?? 0) + 1);
      if (Date.now() > deadline) throw new Error(`call ${n} was not answered: ${outcome.failure}`);
      await sleep(RETRY_MS);
    }
  }

  async function attempt(n: number): Promise<{ receiptId: string; failure: null } | { receiptId: null; failure: string }> {
    try {
      const answer = await client.openInfer('sentiment', aText(`Call number ${n} was fine.`));
      await answer.arrayBuffer();
      const receiptId = answer.headers.get('x-weir-receipt-id');
      if (answer.status === 200 && receiptId !== null) return { receiptId, failure: null };
      return { receiptId: null, failure: `${answer.status} ${answer.headers.get('x-weir-error-code')}` };
    } catch (error) {
      // The connection broke with the gateway that was killed.
      return { receiptId: null, failure: String(error) };
    }
  }

  /** Every answered call is in the ledger exactly once, and the invoice is the ledger. */
  async function booksAgree(calls: Calls): Promise<void> {
    answered.push(...calls.answered);
    expect(new Set(answered).size).toBe(answered.length);
    await eventually(async () => {
      const receipts = await allReceipts(administrator);
      const ids = receipts.map((receipt) => receipt.id);
      expect(new Set(ids).size).toBe(ids.length);
      const known = new Set(ids);
      expect(answered.filter((id) => !known.has(id))).toEqual([]);
      const invoice = await openInvoice(administrator);
      expect(invoicedQuantities(invoice)).toEqual(quantitiesOf(receipts));
      expect(new Decimal(invoice.total.amount).toFixed()).toBe(totalOf(receipts));
    }, SETTLE_TIMEOUT_MS);
  }

  async function returns(service: ServiceName): Promise<void> {
    await eventually(async () => expect((await fetch(`${platform.internalUrlOf(service)}/health/ready`)).status).toBe(200));
  }

  test('with auth, registry, billing and PostgreSQL stopped and metering killed, inference by known keys goes on, and is billed when they return', async () => {
    const stopped = CONTROL_PLANE.filter((service) => service !== 'metering');
    for (const service of stopped) await platform.pause(service);
    await platform.pause('postgresql');
    const killed = platform.pidOf('metering');
    platform.kill('metering');
    // The new process waits for PostgreSQL instead of dying of it.
    await eventually(async () => {
      expect(platform.pidOf('metering')).not.toBe(killed);
      expect((await fetch(`${platform.internalUrlOf('metering')}/health/live`)).status).toBe(200);
    });
    expect((await fetch(`${platform.internalUrlOf('metering')}/health/ready`)).status).toBe(503);
    const calls = await call(200);
    expect(calls.failures).toEqual(new Map());
    const down = await client.graph('query { usage { totals { calls } } }');
    expect(down.errors?.[0]?.extensions).toMatchObject({ code: 'service.unavailable' });
    await platform.resume('postgresql');
    for (const service of stopped) await platform.resume(service);
    await Promise.all(CONTROL_PLANE.map(returns));
    await booksAgree(calls);
  });

  test('kill -9 of gateway, worker and metering in the middle of 2,000 calls loses no answered call and bills none twice', async () => {
    const kills: readonly (readonly [number, ServiceName])[] = [
      [400, 'metering'],
      [700, 'worker'],
      [1_100, 'gateway'],
      [1_500, 'metering'],
      [1_600, 'worker'],
    ];
    const calls = await call(2_000, (answered) => {
      for (const [at, service] of kills) if (answered === at) platform.kill(service);
    });
    expect(calls.failures.size).toBeGreaterThan(0);
    // Until they are back, callers get errors that say: try again.
    for (const failure of calls.failures.keys())
      expect(failure).toMatch(
        /^TypeError: (fetch failed|terminated)$|^503 (worker\.unreachable|model\.not_ready|service\.starting|service\.stopping)$/,
      );
    await Promise.all((['gateway', 'worker', 'metering'] as const).map(returns));
    await booksAgree(calls);
  });

  test('a killed PostgreSQL is started again, and everything goes on by itself', async () => {
    const calls = await call(300, (answered) => {
      if (answered === 100) process.kill(platform.pids()[0] ?? 0, 'SIGKILL');
    });
    expect(calls.failures).toEqual(new Map());
    await booksAgree(calls);
    expect(platform.output).toContain('PostgreSQL');
  });
});
