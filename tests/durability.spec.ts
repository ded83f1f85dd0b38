import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Decimal } from '@weir/kernel';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { aUsageEvent } from '../apps/metering/src/usage-event.fixture.ts';
import { allReceipts, invoicedQuantities, openInvoice, quantitiesOf, totalOf } from './harness/books.ts';
import { eventually } from './harness/eventually.ts';
import { aText, PlatformClient } from './harness/platform-client.ts';
import { RunningPlatform, type ServiceName } from './harness/running-platform.ts';

/** Long enough for spools to be shipped and consumers to come back on a busy machine. */
const SETTLE_TIMEOUT_MS = 120_000;
/** The smallest spool there is: some 1,200 calls. */
const SPOOL_BYTES = 1_048_576;
/** What the ledger says of the tenant, in a form that can be compared. */
interface Books {
  readonly receipts: number;
  readonly quantities: Record<string, string>;
  readonly total: string;
}

describe('what was promised to callers outlives restarts, replays and a full disk', () => {
  let platform: RunningPlatform;
  let administrator: PlatformClient;
  let operator: PlatformClient;
  let client: PlatformClient;
  let secret: string;
  const answered: string[] = [];

  beforeAll(async () => {
    platform = await RunningPlatform.start({
      environment: { WEIR_SPOOL_MAX_BYTES: String(SPOOL_BYTES), WEIR_RECONCILIATION_INTERVAL_MS: '1000' },
    });
    administrator = await platform.administrator();
    operator = await platform.operator();
    const { createApiKey } = await administrator.data<{ createApiKey: { secret: string } }>(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }',
      { input: { name: 'durability', limits: { requestsPerMinute: 1_000_000, maxInFlight: 500 } } },
    );
    secret = createApiKey.secret;
    client = new PlatformClient(platform.url, secret);
    await eventually(async () => answered.push(await call()));
  });
  afterAll(() => platform.stop());

  /** @returns the receipt of one answered call @throws Error `<status> <code>` */
  async function call(): Promise<string> {
    const answer = await client.openInfer('sentiment', aText('Durable.'));
    await answer.arrayBuffer();
    const receipt = answer.headers.get('x-weir-receipt-id');
    if (answer.status !== 200 || receipt === null) throw new Error(`${answer.status} ${answer.headers.get('x-weir-error-code')}`);
    return receipt;
  }

  /** A call of which the server has the head and not yet the whole body: it is under way until `finish`. */
  async function begunCall(): Promise<{ finish: () => Promise<{ status: number; receipt: string }> }> {
    const body = JSON.stringify(aText('Under way.'));
    const request = httpRequest(`${platform.url}/v2/models/sentiment/infer`, {
      method: 'POST',
      agent: false,
      headers: {
        authorization: `Bearer ${secret}`,
        'content-type': 'application/json',
        'content-length': body.length,
        expect: '100-continue',
      },
    });
    const answer = new Promise<{ status: number; receipt: string }>((resolve, reject) => {
      request.on('error', reject);
      request.on('response', (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, receipt: String(response.headers['x-weir-receipt-id']) }));
      });
    });
    // Whoever waits for `finish` learns of a failure.
    answer.catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      request.once('continue', resolve);
      request.once('error', reject);
      request.flushHeaders();
    });
    request.write(body.slice(0, 20));
    return {
      finish: () => {
        request.end(body.slice(20));
        return answer;
      },
    };
  }

  async function books(): Promise<Books> {
    const receipts = await allReceipts(administrator);
    return { receipts: receipts.length, quantities: quantitiesOf(receipts), total: totalOf(receipts) };
  }

  /** Every answered call is in the ledger exactly once, and ledger, sums and invoice are the same to the last digit. */
  async function booksAgree(): Promise<Books> {
    return eventually(async () => {
      const receipts = await allReceipts(administrator);
      const ids = receipts.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const known = new Set(ids);
      expect(answered.filter((id) => !known.has(id))).toEqual([]);
      const invoice = await openInvoice(administrator);
      expect(invoicedQuantities(invoice)).toEqual(quantitiesOf(receipts));
      expect(new Decimal(invoice.total.amount).toFixed()).toBe(totalOf(receipts));
      const { tenant } = await administrator.data<{ tenant: { id: string } }>('{ tenant { id } }');
      const { meteringReconciliation } = await operator.data<{ meteringReconciliation: object }>(
        'query ($id: ID!) { meteringReconciliation(tenantId: $id) { isReconciled calls differences { sums meter } } }',
        { id: tenant.id },
      );
      expect(meteringReconciliation).toEqual({ isReconciled: true, calls: ids.length, differences: [] });
      return books();
    }, SETTLE_TIMEOUT_MS);
  }

  async function isReady(service: ServiceName): Promise<void> {
    await eventually(async () => expect((await fetch(`${platform.internalUrlOf(service)}/health/ready`)).status).toBe(200));
  }

  /** Changes the platform's tables as a role of it. */
  async function asRole(role: string, statement: string): Promise<number> {
    const read = (file: string): unknown => JSON.parse(readFileSync(path.join(platform.home, file), 'utf8'));
    const secrets = read('secrets.json') as { databasePasswords: Record<string, string>; busPassword: string };
    const password = role === 'bus' ? secrets.busPassword : (secrets.databasePasswords[role] ?? '');
    const { postgresql } = read('ports.json') as { postgresql: number };
    const database = new pg.Client({ host: '127.0.0.1', port: postgresql, user: role, password, database: 'weir' });
    await database.connect();
    try {
      return (await database.query(statement)).rowCount ?? 0;
    } finally {
      await database.end();
    }
  }

  test('a gateway that is told to stop answers the calls that are under way, and each of them is billed', async () => {
    const calls = await Promise.all(Array.from({ length: 8 }, begunCall));
    const before = platform.pidOf('gateway');
    process.kill(before, 'SIGTERM');
    // It takes no new calls by then.
    await eventually(async () => expect(await fetch(platform.url).then(String, () => 'refused')).toBe('refused'), 5_000);
    const answers = await Promise.all(calls.map(({ finish }) => finish()));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    answered.push(...answers.map(({ receipt }) => receipt));
    await eventually(() => expect(platform.pidOf('gateway')).not.toBe(before));
    await isReady('gateway');
    await booksAgree();
  });

  test('a call whose caller disconnects after it had begun to run is in the ledger and on the invoice by what had begun', async () => {
    const runsBegun = async (): Promise<number> => {
      const metrics = await (await fetch(`${platform.internalUrlOf('worker')}/metrics`)).text();
      return [...metrics.matchAll(/^weir_model_queue_seconds_count\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const texts = Array.from({ length: 64 }, () => 'a rather good thing '.repeat(400));
    const body = JSON.stringify({ inputs: [{ name: 'text', shape: [texts.length], datatype: 'BYTES', data: texts }] });
    /** Sends a call and disconnects as soon as a part of it runs; it may be over by then. */
    const abandon = async (): Promise<void> => {
      const before = await runsBegun();
      const caller = new AbortController();
      const headers = { 'content-type': 'application/json' };
      const call = client.fetch('/v2/models/sentiment/infer', { method: 'POST', headers, body, signal: caller.signal });
      let isOver = false;
      const ended = call.then(
        () => (isOver = true),
        () => (isOver = true),
      );
      while (!isOver && (await runsBegun()) === before);
      caller.abort();
      await ended;
    };
    interface InterruptedReceipt {
      readonly outcome: string;
      readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
    }
    const interrupted = async (): Promise<InterruptedReceipt[]> => {
      const { receipts } = await administrator.data<{ receipts: { nodes: InterruptedReceipt[] } }>(
        '{ receipts(first: 100) { nodes { outcome quantities { meter quantity } } } }',
      );
      return receipts.nodes.filter(({ outcome }) => outcome !== 'ANSWERED');
    };
    let abandoned = 0;
    const receipts = await eventually(async () => {
      abandoned++;
      await abandon();
      await eventually(async () => expect(await interrupted()).not.toEqual([]), 3_000);
      return interrupted();
    });
    // One receipt for each call that was interrupted, and no other outcome.
    expect(receipts.length).toBeLessThanOrEqual(abandoned);
    for (const { outcome } of receipts) expect(outcome).toBe('CANCELLED');
    const metered = Object.fromEntries(receipts[0]?.quantities.map(({ meter, quantity }) => [meter, Number(quantity)]) ?? []);
    expect(metered.requests).toBe(1);
    expect(metered.inputs).toBeGreaterThan(0);
    expect(metered.inputs).toBeLessThanOrEqual(64);
    expect(metered['input-tokens']).toBeGreaterThan(metered.inputs ?? 0);
    await booksAgree();
  });

  test('a worker that is told to stop answers the calls that are under way; others are told to come again', async () => {
    const failures = new Set<string>();
    let isStopped = false;
    const callers = Array.from({ length: 24 }, async () => {
      for (let n = 0; n < 40; n++) {
        try {
          answered.push(await call());
        } catch (error) {
          failures.add((error as Error).message);
          await sleep(100);
        }
        if (n === 10 && !isStopped) {
          isStopped = true;
          process.kill(platform.pidOf('worker'), 'SIGTERM');
        }
      }
    });
    await Promise.all(callers);
    for (const failure of failures) expect(failure).toMatch(/^503 (model\.not_ready|worker\.unreachable|service\.stopping)$/);
    await eventually(async () => answered.push(await call()));
    await booksAgree();
  });

  test('reading every topic of usage again from its beginning bills nothing twice', async () => {
    const before = await booksAgree();
    for (const service of ['metering', 'billing'] as const) await platform.pause(service);
    expect(await asRole('bus', `delete from bus.group_partition where group_name in ('metering', 'billing')`)).toBeGreaterThan(0);
    // Without its inbox a service cannot tell that it has read the records before.
    for (const service of ['metering', 'billing'] as const)
      expect(await asRole(service, `delete from ${service}.inbox_offsets`)).toBeGreaterThan(0);
    for (const service of ['metering', 'billing'] as const) await platform.resume(service);
    await Promise.all((['metering', 'billing'] as const).map(isReady));
    await eventually(async () => {
      for (const [service, topic] of [
        ['metering', 'inference.usage'],
        ['billing', 'metering.usage-rolled'],
      ] as const) {
        const behind = `select 1 from bus.topic_partition as log left join bus.group_partition as read
          on read.partition_id = log.id and read.group_name = '${service}'
          where log.topic = '${topic}' and log.next_offset > coalesce(read.committed_offset, 0)`;
        expect(await asRole('bus', behind), topic).toBe(0);
      }
    }, SETTLE_TIMEOUT_MS);
    expect(await booksAgree()).toEqual(before);
    answered.push(await call());
    expect((await booksAgree()).receipts).toBe(before.receipts + 1);
  });

  test('when the topic of the hourly sums is recreated and sums are lost with it, billing is repaired from the ledger', async () => {
    await booksAgree();
    const tenantId = 'closed-hours';
    const topic = `(select id from bus.topic_partition where topic = 'metering.usage-rolled')`;
    const { receipts } = await administrator.data<{ receipts: { nodes: { priceListId: string }[] } }>(
      '{ receipts(first: 1) { nodes { priceListId } } }',
    );
    const used = async (calls: number): Promise<void> => {
      const occurredAt = new Date(Date.now() - 2 * 3_600_000).toISOString();
      const records = Array.from({ length: calls }, () => {
        const { data, ...envelope } = aUsageEvent({
          receiptId: randomUUID(),
          tenantId,
          model: 'sentiment',
          priceListId: receipts.nodes[0]?.priceListId ?? '',
          occurredAt,
        });
        return { k: tenantId, v: JSON.stringify({ ...envelope, data }), h: { 'event-type': envelope.type } };
      });
      const appended = `select bus.append('inference.usage', (
        select json_agg(json_build_object('p', log.id, 'k', record->>'k', 'v', record->>'v', 'h', record->'h'))
        from json_array_elements('${JSON.stringify(records)}') as record, bus.topic_partition as log
        where log.topic = 'inference.usage' and log.partition = 0), 10000)`;
      await asRole('bus', appended);
    };
    const isMetered = (calls: number): Promise<unknown> =>
      eventually(async () => {
        const found = await operator.data('query ($id: ID!) { meteringReconciliation(tenantId: $id) { isReconciled calls } }', {
          id: tenantId,
        });
        expect(found).toEqual({ meteringReconciliation: { isReconciled: true, calls } });
        expect(await asRole('metering', 'select 1 from metering.outbox')).toBe(0);
      }, SETTLE_TIMEOUT_MS);
    /** Billing has the ledger's sums, by totals that metering has stated since a moment. */
    const isBilled = async (): Promise<void> => {
      const since = new Date().toISOString();
      await eventually(async () => {
        const { billingReconciliation } = await operator.data<{ billingReconciliation: { statedAt: string }[] }>(
          'query ($id: ID!) { billingReconciliation(tenantId: $id) { statedAt isReconciled differences { meter } } }',
          { id: tenantId },
        );
        expect(billingReconciliation).toEqual([{ statedAt: expect.any(String), isReconciled: true, differences: [] }]);
        expect((billingReconciliation[0]?.statedAt ?? '') > since).toBe(true);
      }, SETTLE_TIMEOUT_MS);
    };

    await used(3);
    await isMetered(3);
    await isBilled();
    await platform.pause('billing');
    await used(4);
    await isMetered(7);
    // The partitions are locked first, so that nothing is appended meanwhile.
    await asRole(
      'bus',
      `update bus.topic_partition set next_offset = 0 where id in ${topic};
       delete from bus.record where partition_id in ${topic};
       delete from bus.group_partition where group_name = 'billing' and partition_id in ${topic}`,
    );
    await platform.resume('billing');
    await isReady('billing');
    await isBilled();
    const metrics = await (await fetch(`${platform.internalUrlOf('metering')}/metrics`)).text();
    expect(metrics).toMatch(/weir_metering_periods_repeated_total\{[^}]*\} [1-9]/);
    await booksAgree();
  });

  test('kill -9 of billing while totals arrive leaves the invoice equal to the ledger', async () => {
    for (let round = 0; round < 2; round++) {
      const callers = Array.from({ length: 8 }, async (_, caller) => {
        for (let n = 0; n < 25; n++) {
          answered.push(await call());
          if (caller === 0 && n === 10) platform.kill('billing');
        }
      });
      await Promise.all(callers);
      await isReady('billing');
    }
    await booksAgree();
  });

  test('when the spool is full nothing is run that cannot be billed; when the bus returns, calls are answered again', async () => {
    await platform.pause('postgresql');
    const refusals: string[] = [];
    const began = Date.now();
    while (refusals.length === 0 && Date.now() - began < SETTLE_TIMEOUT_MS) {
      const outcomes = await Promise.allSettled(Array.from({ length: 32 }, call));
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') answered.push(outcome.value);
        else refusals.push((outcome.reason as Error).message);
      }
    }
    expect(new Set(refusals)).toEqual(new Set(['503 usage.unrecordable']));
    const runsBefore = await runsOfWorker();
    await expect(call()).rejects.toThrow('503 usage.unrecordable');
    expect(await runsOfWorker()).toBe(runsBefore);
    await platform.resume('postgresql');
    await eventually(async () => answered.push(await call()), SETTLE_TIMEOUT_MS);
    await booksAgree();
  });

  /** Runs of models that the worker has made. */
  async function runsOfWorker(): Promise<number> {
    const text = await (await fetch(`${platform.internalUrlOf('worker')}/metrics`)).text();
    const counts = [...text.matchAll(/^weir_model_run_seconds_count\{[^}]*\} (\d+)$/gm)].map(([, count]) => Number(count));
    expect(counts.length).toBeGreaterThan(0);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  test('no key, password, e-mail address, token or prompt is in any log of all this', () => {
    const { WEIR_API_KEY, WEIR_ADMIN_EMAIL, WEIR_ADMIN_PASSWORD, WEIR_OPERATOR_EMAIL, WEIR_OPERATOR_PASSWORD } = platform.demo;
    const secrets = readFileSync(path.join(platform.home, 'secrets.json'), 'utf8').match(/[\w-]{20,}/g) ?? [];
    const words = [WEIR_API_KEY, secret, WEIR_ADMIN_EMAIL, WEIR_ADMIN_PASSWORD, WEIR_OPERATOR_EMAIL, WEIR_OPERATOR_PASSWORD, ...secrets];
    for (const service of ['auth', 'registry', 'metering', 'billing', 'worker', 'gateway', 'postgresql']) {
      const log = readFileSync(path.join(platform.home, 'logs', `${service}.log`), 'utf8');
      expect(log.length, service).toBeGreaterThan(0);
      for (const word of [...words, 'Durable.', 'Under way.', 'weir_sk_', 'eyJ'])
        expect(log.includes(word), `${service}: ${word.slice(0, 4)}…`).toBe(false);
    }
  });
});
