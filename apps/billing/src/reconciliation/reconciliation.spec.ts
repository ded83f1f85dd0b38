import type { PeriodTotal } from '@weir/contracts';
import { expect, it } from 'vitest';
import { differencesOf } from './reconciliation.ts';

const total = (over: Partial<PeriodTotal> = {}): PeriodTotal => ({
  meter: 'requests',
  priceListId: 'list-1',
  currency: 'EUR',
  quantity: '3',
  calls: 3,
  ...over,
});

it('totals agree whatever their order and the zeros behind their point', () => {
  const inputs = total({ meter: 'inputs', quantity: '7.5' });
  expect(differencesOf([total(), inputs], [{ ...inputs, quantity: '7.50' }, total()])).toEqual([]);
  expect(differencesOf([], [])).toEqual([]);
});

it.each<[string, readonly PeriodTotal[], readonly PeriodTotal[], object]>([
  ['a quantity that is not billed', [total()], [], { meteredQuantity: '3', billedQuantity: '0', meteredCalls: 3, billedCalls: 0 }],
  ['a quantity that is not metered', [], [total()], { meteredQuantity: '0', billedQuantity: '3', meteredCalls: 0, billedCalls: 3 }],
  ['a quantity in its last digit', [total({ quantity: '3.0000000000000000000001' })], [total()], { billedQuantity: '3' }],
  ['calls', [total({ calls: 4 })], [total()], { meteredCalls: 4, billedCalls: 3 }],
])('they differ in %s', (_, metered, billed, expected) => {
  expect(differencesOf(metered, billed)).toEqual([
    expect.objectContaining({ meter: 'requests', priceListId: 'list-1', currency: 'EUR', ...expected }),
  ]);
});

it('are kept apart by meter, price list and currency', () => {
  const others = [total({ meter: 'inputs' }), total({ priceListId: 'list-2' }), total({ currency: 'USD' })];
  expect(differencesOf([total()], others)).toHaveLength(4);
});
