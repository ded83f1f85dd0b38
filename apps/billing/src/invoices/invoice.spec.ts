import type { PriceList, Rate } from '@weir/contracts';
import { describe, expect, it } from 'vitest';
import type { PeriodSum } from '../usage/usage-sums.store.ts';
import { monthOf, openInvoice, openInvoiceId, periodOfId } from './invoice.ts';

function aPriceList(id: string, rates: Rate[]): PriceList {
  return { id, planId: 'plan-1', currency: 'EUR', effectiveFrom: '2026-01-01T00:00:00Z', rates };
}

function aSum(changes: Partial<PeriodSum> = {}): PeriodSum {
  return {
    model: 'digits',
    meter: 'requests',
    priceListId: 'list-1',
    quantity: '1',
    calls: 1,
    latestHour: new Date('2026-03-14T10:00:00Z'),
    ...changes,
  };
}

const MARCH = { start: new Date('2026-03-01T00:00:00Z'), currency: 'EUR' };

describe('an open invoice', () => {
  it.each([
    ['0.125', '0.12'],
    ['0.135', '0.14'],
    ['0.1250000000000001', '0.13'],
    ['2.5', '2.50'],
  ])('shows %s exactly and asks for %s: rounded once, half to even', (unitAmount, payable) => {
    const lists = new Map([['list-1', aPriceList('list-1', [{ model: '*', meter: 'requests', unitAmount, per: 1 }])]]);
    const invoice = openInvoice(MARCH, [aSum()], lists);
    expect(invoice.total).toEqual({ amount: unitAmount, currency: 'EUR' });
    expect(invoice.payable).toEqual({ amount: payable, currency: 'EUR' });
  });

  it('rounds the sum of its lines, not each line', () => {
    const lists = new Map([['list-1', aPriceList('list-1', [{ model: '*', meter: 'requests', unitAmount: '0.004', per: 1 }])]]);
    const invoice = openInvoice(MARCH, [aSum(), aSum({ model: 'sentiment' }), aSum({ model: 'third' })], lists);
    expect(invoice.payable.amount).toBe('0.01');
  });

  it('asks for whole yen', () => {
    const lists = new Map([
      ['list-1', { ...aPriceList('list-1', [{ model: '*', meter: 'requests', unitAmount: '10.5', per: 1 }]), currency: 'JPY' }],
    ]);
    expect(openInvoice({ ...MARCH, currency: 'JPY' }, [aSum()], lists).payable).toEqual({ amount: '10', currency: 'JPY' });
  });

  it('rates each sum by the price list that its calls were priced by', () => {
    const lists = new Map(
      ['1', '2'].map((unitAmount) => [
        `list-${unitAmount}`,
        aPriceList(`list-${unitAmount}`, [{ model: '*', meter: 'requests', unitAmount, per: 1 }]),
      ]),
    );
    const invoice = openInvoice(
      MARCH,
      [aSum({ quantity: '3' }), aSum({ priceListId: 'list-2', quantity: '5', latestHour: new Date('2026-03-20T10:00:00Z') })],
      lists,
    );
    expect(invoice.lines.map((line) => line.amount)).toEqual(['3', '10']);
    expect(invoice.usageThrough).toEqual(new Date('2026-03-20T10:00:00Z'));
  });

  it('fails rather than leaving out what it cannot price', () => {
    expect(() => openInvoice(MARCH, [aSum()], new Map())).toThrow(expect.objectContaining({ code: 'internal.error' }));
  });
});

describe('the period of an invoice', () => {
  it.each([
    ['2026-03-01T00:00:00.000Z', '2026-03-01', '2026-04-01'],
    ['2026-12-31T23:59:59.999Z', '2026-12-01', '2027-01-01'],
    ['2028-02-29T12:00:00.000Z', '2028-02-01', '2028-03-01'],
  ])('of %s is the calendar month in UTC', (moment, start, end) => {
    expect(monthOf(new Date(moment))).toEqual({ start: new Date(`${start}T00:00:00Z`), end: new Date(`${end}T00:00:00Z`) });
  });

  it('is told by its id', () => {
    expect(periodOfId(openInvoiceId(MARCH))).toEqual(MARCH);
    for (const id of ['', 'open-2026-3-EUR', 'open-2026-00-EUR', 'open-2026-03-eur', 'invoice-1']) expect(periodOfId(id)).toBeNull();
  });
});
