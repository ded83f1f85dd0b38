import type { EventEnvelope, Usage } from '@weir/contracts';
import { sumAmounts } from '@weir/pricing';
import { describe, expect, it } from 'vitest';
import { aUsage, aUsageEvent } from '../usage-event.fixture.ts';
import { hourlyTotalsOf, ledgerEntryOf, refusal } from './ledger-entry.ts';

describe('a ledger entry', () => {
  it('splits the cost over the meters as the gateway rated them', () => {
    const { quantities } = ledgerEntryOf(
      aUsageEvent({
        quantities: [
          { meter: 'requests', quantity: '1', amount: '0.0005' },
          { meter: 'input-tokens', quantity: '137', amount: '0.0000274' },
        ],
        cost: { amount: '0.0005274', currency: 'EUR' },
      }),
    );
    expect(quantities).toEqual([
      { meter: 'requests', quantity: '1', amount: '0.0005' },
      { meter: 'input-tokens', quantity: '137', amount: '0.0000274' },
    ]);
  });

  it.each<[string, Usage['quantities']]>([
    [
      'no amount is given',
      [
        { meter: 'requests', quantity: '1' },
        { meter: 'inputs', quantity: '3' },
      ],
    ],
    [
      'one amount is missing',
      [
        { meter: 'requests', quantity: '1' },
        { meter: 'inputs', quantity: '3', amount: '0.1' },
      ],
    ],
    [
      'the amounts do not sum to the cost',
      [
        { meter: 'requests', quantity: '1', amount: '9' },
        { meter: 'inputs', quantity: '3', amount: '0.25' },
      ],
    ],
    [
      'a meter stands twice',
      [
        { meter: 'requests', quantity: '1', amount: '0.1' },
        { meter: 'inputs', quantity: '3' },
        { meter: 'requests', quantity: '0.5', amount: '0.01' },
      ],
    ],
  ])('accounts for the whole cost, each meter once, when %s', (_, quantities) => {
    const entry = ledgerEntryOf(aUsageEvent({ quantities, cost: { amount: '0.3', currency: 'EUR' } }));
    expect(sumAmounts(entry.quantities.map(({ amount }) => amount))).toBe('0.3');
    expect(new Set(entry.quantities.map(({ meter }) => meter)).size).toBe(entry.quantities.length);
    for (const { meter, quantity } of entry.quantities) {
      expect(quantity).toBe(sumAmounts(quantities.filter((given) => given.meter === meter).map((given) => given.quantity)));
    }
  });

  it('counts the hourly totals that entries can change', () => {
    const quantities: Usage['quantities'] = [
      { meter: 'requests', quantity: '1' },
      { meter: 'inputs', quantity: '1' },
    ];
    const entries = ['2026-03-01T10:00:00Z', '2026-03-01T10:59:59.999Z', '2026-03-01T11:00:00Z'].map((occurredAt) =>
      ledgerEntryOf(aUsageEvent({ occurredAt, quantities })),
    );
    expect(hourlyTotalsOf(entries)).toBe(4);
  });
});

describe('a usage event that can never be recorded', () => {
  it.each<[string, Partial<EventEnvelope<Usage>>]>([
    ['the tenant of the envelope', { tenant: 'other' }],
    ['no tenant in the envelope', { tenant: null }],
    ['a negative cost', { data: aUsage({ cost: { amount: '-0.01', currency: 'EUR' } }) }],
    ['a negative quantity', { data: aUsage({ quantities: [{ meter: 'requests', quantity: '-1' }] }) }],
    ['a negative amount', { data: aUsage({ quantities: [{ meter: 'requests', quantity: '1', amount: '-1' }] }) }],
    ['a time before the platform', { data: aUsage({ occurredAt: '0001-01-01T00:00:00Z' }) }],
    ['a character that PostgreSQL cannot keep', { data: aUsage({ version: '1\u0000' }) }],
    ['half of a surrogate pair', { source: 'gateway/\ud800' }],
  ])('is refused for %s', (_, changes) => {
    expect(refusal({ ...aUsageEvent({}), ...changes })).toEqual(expect.any(String));
  });

  it('is not every event', () => {
    expect(refusal(aUsageEvent({}))).toBeNull();
  });
});
