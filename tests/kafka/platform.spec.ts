import { Decimal } from '@weir/kernel';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { allReceipts, invoicedQuantities, openInvoice, quantitiesOf, totalOf } from '../harness/books.ts';
import { eventually } from '../harness/eventually.ts';
import { aText } from '../harness/platform-client.ts';
import { RunningPlatform } from '../harness/running-platform.ts';

declare module 'vitest' {
  interface ProvidedContext {
    kafkaBrokers: string;
  }
}

describe('the whole platform on Apache Kafka', () => {
  let platform: RunningPlatform;

  beforeAll(async () => {
    platform = await RunningPlatform.start({ environment: { WEIR_BUS: 'kafka', WEIR_KAFKA_BROKERS: inject('kafkaBrokers') } });
  });
  afterAll(() => platform.stop());

  test('calls are answered, metered and stand on the invoice to the last digit, also when metering is killed on the way', async () => {
    const { client } = platform;
    const answered: string[] = [];
    for (let n = 0; n < 60; n++) {
      if (n === 20) platform.kill('metering');
      const answer = await client.openInfer('sentiment', aText(`Call number ${n} was fine.`));
      expect(answer.status).toBe(200);
      answered.push(answer.headers.get('x-weir-receipt-id') ?? '');
    }
    const administrator = await platform.administrator();
    await eventually(async () => {
      const receipts = await allReceipts(administrator);
      const ids = receipts.map((receipt) => receipt.id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(answered.filter((id) => !ids.includes(id))).toEqual([]);
      const invoice = await openInvoice(administrator);
      expect(invoicedQuantities(invoice)).toEqual(quantitiesOf(receipts));
      expect(new Decimal(invoice.total.amount).toFixed()).toBe(totalOf(receipts));
    }, 120_000);
  });

  test('a revoked key is refused within five seconds', async () => {
    const administrator = await platform.administrator();
    const { createApiKey } = await administrator.data<{ createApiKey: { secret: string; apiKey: { id: string } } }>(
      'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret apiKey { id } } }',
      { input: { name: 'short-lived' } },
    );
    const call = (): Promise<Response> =>
      fetch(`${platform.url}/v2/models/sentiment/infer`, {
        method: 'POST',
        headers: { authorization: `Bearer ${createApiKey.secret}`, 'content-type': 'application/json' },
        body: JSON.stringify(aText('x')),
      });
    await eventually(async () => expect((await call()).status).toBe(200), 5_000);
    await administrator.data('mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id } } }', {
      input: { id: createApiKey.apiKey.id },
    });
    await eventually(async () => expect((await call()).status).toBe(401), 5_000);
  });
});
