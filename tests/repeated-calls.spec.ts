import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allReceipts, invoicedQuantities, openInvoice, quantitiesOf } from './harness/books.ts';
import { eventually } from './harness/eventually.ts';
import { aText, type PlatformClient } from './harness/platform-client.ts';
import { fileMode, RunningPlatform } from './harness/running-platform.ts';

interface Answer {
  readonly receiptId: string;
  readonly isRepeated: boolean;
  readonly output: unknown;
}

const INFER = `mutation ($input: InferInput!) {
  infer(input: $input) { receiptId isRepeated output { ... on Classification { labels { label score } } } }
}`;
const TEXT = 'The food was wonderful and the staff were kind.';

describe('a call with an idempotency key', () => {
  let platform: RunningPlatform;
  let client: PlatformClient;
  let first: Answer;

  const infer = async (key: string, text = TEXT): Promise<Answer> => {
    const input = { model: 'sentiment', input: { text }, idempotencyKey: key };
    return (await client.data<{ infer: Answer }>(INFER, { input })).infer;
  };
  const answersFolder = (): string => path.join(platform.home, 'spool', 'answers');

  /** `kill -9` of the gateway; resolves when another one answers. */
  async function killGateway(whileDead: () => void = () => undefined): Promise<void> {
    const before = platform.pidOf('gateway');
    platform.kill('gateway');
    whileDead();
    await eventually(async () => {
      expect(platform.pidOf('gateway')).not.toBe(before);
      await client.data('{ platform { version } }');
    });
  }

  /** How often the ledger has the receipt, when it and the invoice have come to rest. */
  async function recorded(receiptId: string): Promise<number> {
    // A call that is made later and stands in the ledger: all that was sent before it was read.
    const last = await eventually(() => infer(`marker of ${Math.random()}`));
    const administrator = await platform.administrator();
    return eventually(async () => {
      const receipts = await allReceipts(administrator);
      expect(receipts.map(({ id }) => id)).toContain(last.receiptId);
      expect(invoicedQuantities(await openInvoice(administrator))).toEqual(quantitiesOf(receipts));
      return receipts.filter(({ id }) => id === receiptId).length;
    });
  }

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    client = platform.client;
    first = await eventually(() => infer('order-7'));
  });
  afterAll(() => platform.stop());

  test('gets the same answer from the gateway that follows one that was killed, and is billed once', async () => {
    expect(first.isRepeated).toBe(false);
    await killGateway();
    expect(await infer('order-7')).toEqual({ ...first, isRepeated: true });
    expect(await recorded(first.receiptId)).toBe(1);
  });

  test('whose answer was lost with the disk runs again, and is billed once all the same', async () => {
    await killGateway(() => rmSync(answersFolder(), { recursive: true }));
    expect(await infer('order-7')).toEqual(first);
    expect(await infer('order-7')).toEqual({ ...first, isRepeated: true });
    expect(await recorded(first.receiptId)).toBe(1);
  });

  test('is known on every surface; another call with its key is a conflict there too', async () => {
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'order-8' };
    const openInfer = (text: string): Promise<Response> =>
      client.fetch('/v2/models/sentiment/infer', { method: 'POST', headers, body: JSON.stringify(aText(text)) });
    const [once, twice, other] = [await openInfer(TEXT), await openInfer(TEXT), await openInfer('Another.')];
    expect(await twice.text()).toBe(await once.text());
    expect(twice.headers.get('x-weir-receipt-id')).toBe(once.headers.get('x-weir-receipt-id'));
    expect(twice.headers.get('x-weir-repeated')).toBe('true');
    expect([other.status, other.headers.get('x-weir-error-code')]).toEqual([409, 'idempotency.key_reused']);
    const { errors } = await client.graph(INFER, { input: { model: 'sentiment', input: { text: 'Another.' }, idempotencyKey: 'order-8' } });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'idempotency.key_reused', field: 'input.idempotencyKey' });
  });

  test('is kept where nobody else on the machine can read it', () => {
    expect(fileMode(answersFolder())).toBe('700');
    const files = readdirSync(answersFolder());
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expect(fileMode(path.join(answersFolder(), file))).toBe('600');
  });
});
