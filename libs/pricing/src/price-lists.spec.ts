import type { PriceList } from '@weir/contracts';
import { describe, expect, it } from 'vitest';
import { priceListAt } from './price-lists.ts';

function aPriceList(id: string, effectiveFrom: string, planId = 'plan-1'): PriceList {
  return { id, planId, currency: 'EUR', effectiveFrom, rates: [] };
}

const LISTS = [
  aPriceList('b', '2026-02-01T00:00:00Z'),
  aPriceList('a', '2026-01-01T00:00:00.000Z'),
  aPriceList('x', '2026-01-15T00:00:00Z', 'plan-2'),
];

describe('the price list of a plan', () => {
  it.each([
    ['2025-12-31T23:59:59.999Z', null],
    ['2026-01-01T00:00:00Z', 'a'],
    ['2026-01-31T23:59:59.999Z', 'a'],
    ['2026-02-01T00:00:00Z', 'b'],
    ['2030-01-01T00:00:00Z', 'b'],
  ])('at %s is %s, whatever order the lists are known in', (at, expected) => {
    expect(priceListAt(LISTS, 'plan-1', Date.parse(at))?.id ?? null).toBe(expected);
    expect(priceListAt(LISTS.toReversed(), 'plan-1', Date.parse(at))?.id ?? null).toBe(expected);
  });

  it('is the later made of two that take effect at the same moment', () => {
    const lists = [
      aPriceList('b', '2026-01-01T00:00:00Z'),
      aPriceList('c', '2026-01-01T00:00:00.000Z'),
      aPriceList('a', '2026-01-01T00:00:00Z'),
    ];
    expect(priceListAt(lists, 'plan-1', Date.parse('2026-01-02T00:00:00Z'))?.id).toBe('c');
  });
});
