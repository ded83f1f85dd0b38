import { describe, expect, test } from 'vitest';
import type { AnsweredCall } from './demonstration-calls.ts';
import { differences } from './reconciliation.ts';
import type { Receipt, Statement } from './statement.ts';

const EUR = (amount: string) => ({ amount, currency: 'EUR' });

const call: AnsweredCall = {
  model: 'sentiment',
  version: '1.0.0',
  receiptId: 'r1',
  latencyMs: 3,
  cost: EUR('0.0017'),
  usage: [{ meter: 'input-tokens', quantity: '10' }],
  output: { labels: [{ label: 'POSITIVE', score: 0.9 }] },
};
const receipt: Receipt = { id: 'r1', model: 'sentiment', cost: EUR('0.00170'), quantities: [{ meter: 'input-tokens', quantity: '10.0' }] };

function aStatement(
  calls: number,
  quantity: string,
  amount: string,
  changes: { total?: string; payable?: string; billed?: string } = {},
): Statement {
  return {
    calls,
    usage: [{ model: 'sentiment', meter: 'input-tokens', quantity, cost: EUR(amount) }],
    invoice: {
      periodStart: '2026-03-01T00:00:00.000Z',
      periodEnd: '2026-04-01T00:00:00.000Z',
      lines: [{ model: 'sentiment', meter: 'input-tokens', quantity, amount: changes.billed ?? amount }],
      currency: 'EUR',
      total: EUR(changes.total ?? changes.billed ?? amount),
      payable: EUR(changes.payable ?? '0.01'),
    },
  };
}

describe('the demonstration', () => {
  const before = aStatement(4, '30', '0.0051');
  const after = aStatement(5, '40', '0.0068');

  test('is content when everything agrees, however the numbers are written', () => {
    expect(differences(before, after, [call], [receipt])).toEqual([]);
  });

  test('is content when others used the tenant meanwhile', () => {
    expect(differences(before, aStatement(9, '80', '0.0136'), [call], [receipt])).toEqual([]);
  });

  test.each([
    ['a receipt is missing', after, [null], 'there is no receipt r1'],
    ['a receipt has another cost', after, [{ ...receipt, cost: EUR('0.0018') }], 'its receipt says 0.0018'],
    ['a receipt has another quantity', after, [{ ...receipt, quantities: [] }], 'its receipt says 0'],
    ['the ledger lacks the call', before, [receipt], 'the ledger counts 4 calls, 5 were made'],
    [
      'the invoice lacks a hundredth of a cent',
      aStatement(5, '40', '0.0068', { billed: '0.0067' }),
      [receipt],
      'the ledger has a cost of 0.0068, the invoice 0.0067',
    ],
    ['the lines do not sum to the total', aStatement(5, '40', '0.0068', { total: '0.0069' }), [receipt], 'its total is 0.0069'],
    ['what is to be paid is not the rounded total', aStatement(5, '40', '0.0068', { payable: '0.02' }), [receipt], '0.02 is to be paid'],
  ])('notices when %s', (_, statement, receipts, sentence) => {
    expect(differences(before, statement, [call], receipts).join('; ')).toContain(sentence);
  });
});
