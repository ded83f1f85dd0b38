import { priceListSchema, type Meter, type PriceList, type Rate } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { Decimal as DecimalJs } from 'decimal.js';
import { describe, expect, it } from 'vitest';
import { amountOf, compilePriceList, sumAmounts } from './rating.ts';

/** An independent judge: decimal.js with more digits than any number here has. */
const Judge = DecimalJs.clone({ precision: 300, toExpNeg: -300, toExpPos: 300, defaults: true });

/** mulberry32: the same numbers in every run. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function randomDecimal(random: (below: number) => number, integerDigits: number, fractionDigits: number): string {
  const digits = (count: number) => Array.from({ length: count }, () => random(10)).join('');
  const fraction = random(fractionDigits + 1);
  return `${digits(1 + random(integerDigits))}${fraction === 0 ? '' : `.${digits(fraction)}`}`;
}

const METERS: readonly Meter[] = ['requests', 'inputs', 'input-tokens'];

function aPriceList(rates: readonly Rate[]): PriceList {
  return { id: 'list-1', planId: 'plan-1', currency: 'EUR', effectiveFrom: '2026-01-01T00:00:00Z', rates: [...rates] };
}

describe('rating', () => {
  it('prices each meter exactly and sums the lines to the cost', () => {
    const list = aPriceList([
      { model: '*', meter: 'requests', unitAmount: '0.0005', per: 1 },
      { model: '*', meter: 'input-tokens', unitAmount: '0.20', per: 1_000_000 },
    ]);
    const rating = compilePriceList(list).rate('sentiment', [
      { meter: 'requests', quantity: '1' },
      { meter: 'input-tokens', quantity: '137' },
    ]);
    expect(rating.cost).toEqual({ amount: '0.0005274', currency: 'EUR' });
    expect(rating.lines).toEqual([
      { meter: 'requests', quantity: '1', unitAmount: '0.0005', per: 1, amount: '0.0005' },
      { meter: 'input-tokens', quantity: '137', unitAmount: '0.20', per: 1_000_000, amount: '0.0000274' },
    ]);
  });

  it('takes the rate of the model before the rate of every model, meter by meter and in whatever order they stand', () => {
    const rates: Rate[] = [
      { model: 'digits', meter: 'requests', unitAmount: '3', per: 1 },
      { model: '*', meter: 'requests', unitAmount: '1', per: 1 },
      { model: '*', meter: 'inputs', unitAmount: '7', per: 1 },
    ];
    const used = [
      { meter: 'requests', quantity: '2' },
      { meter: 'inputs', quantity: '1' },
    ] as const;
    for (const order of [rates, rates.toReversed()]) {
      const list = compilePriceList(aPriceList(order));
      expect(list.rate('digits', used).cost.amount).toBe('13');
      expect(list.rate('sentiment', used).cost.amount).toBe('9');
    }
  });

  it('shows a meter without a rate as a free line, so that its quantity is still seen', () => {
    const list = compilePriceList(aPriceList([{ model: '*', meter: 'requests', unitAmount: '1', per: 1 }]));
    expect(list.rate('digits', [{ meter: 'inputs', quantity: '5' }])).toEqual({
      cost: { amount: '0', currency: 'EUR' },
      lines: [{ meter: 'inputs', quantity: '5', unitAmount: '0', per: 1, amount: '0' }],
    });
  });

  it('refuses to rate a model that has no price, instead of giving it away', () => {
    const list = compilePriceList(aPriceList([{ model: 'digits', meter: 'requests', unitAmount: '1', per: 1 }]));
    expect(list.hasPrice('digits')).toBe(true);
    expect(list.hasPrice('sentiment')).toBe(false);
    expect(() => list.rate('sentiment', [{ meter: 'requests', quantity: '1' }])).toThrow(
      expect.objectContaining({ code: 'price.missing' }),
    );
    expect(() => list.estimate('sentiment', [])).toThrow(expect.objectContaining({ code: 'price.missing' }));
  });

  it('refuses quantities and rates that are not plain decimals, naming the field', () => {
    const list = compilePriceList(aPriceList([{ model: '*', meter: 'requests', unitAmount: '1', per: 1 }]));
    for (const quantity of ['', '1e3', 'NaN', 'Infinity', '.5', '5.', '+1', '0x10', ' 1', '1,5']) {
      expect(() => list.rate('digits', [{ meter: 'requests', quantity }])).toThrow(
        expect.objectContaining({ code: 'request.invalid', field: 'quantity' }),
      );
    }
    expect(() => amountOf('1', { unitAmount: 'one', per: 1 })).toThrow(expect.objectContaining({ field: 'unitAmount' }));
    for (const per of [0, 3, 1.5, -10, 20, 1e21, Number.NaN])
      expect(() => amountOf('1', { unitAmount: '1', per }), String(per)).toThrow(AppError);
  });

  it('estimates a call at exactly what it costs when the quantities come true', () => {
    const list = compilePriceList(aPriceList([{ model: '*', meter: 'inputs', unitAmount: '0.000003', per: 1000 }]));
    const used = [{ meter: 'inputs', quantity: '17' }] as const;
    expect(list.estimate('digits', used)).toEqual(list.rate('digits', used).cost);
  });

  it('agrees with an independent decimal library on 3,000 random prices, to the last digit', () => {
    const random = randomOf(20261122);
    for (let round = 0; round < 3000; round++) {
      const quantity = `${random(5) === 0 ? '-' : ''}${randomDecimal(random, 30, 20)}`;
      const unitAmount = randomDecimal(random, 20, 20);
      const per = 10 ** random(10);
      expect(amountOf(quantity, { unitAmount, per })).toBe(new Judge(quantity).times(unitAmount).div(per).plus(0).toFixed());
    }
  });

  it('costs the same rated call by call or rated as the sum of the calls', () => {
    const random = randomOf(7);
    for (let round = 0; round < 100; round++) {
      const list = compilePriceList(
        aPriceList(METERS.map((meter) => ({ model: '*', meter, unitAmount: randomDecimal(random, 4, 12), per: 10 ** random(10) }))),
      );
      const calls = Array.from({ length: 50 }, () => METERS.map((meter) => ({ meter, quantity: randomDecimal(random, 6, 6) })));
      const summed = METERS.map((meter, index) => ({ meter, quantity: sumAmounts(calls.map((call) => call[index]?.quantity ?? '0')) }));
      const ofSum = list.rate('digits', summed);
      const ofCalls = calls.map((call) => list.rate('digits', call));
      expect(ofSum.cost.amount).toBe(sumAmounts(ofCalls.map((rating) => rating.cost.amount)));
      expect(ofSum.cost.amount).toBe(sumAmounts(ofSum.lines.map((line) => line.amount)));
      METERS.forEach((_, index) => {
        expect(ofSum.lines[index]?.amount).toBe(sumAmounts(ofCalls.map((rating) => rating.lines[index]?.amount ?? '')));
      });
    }
  });

  it('keeps every digit of a sum that a float or a 60-digit decimal would lose', () => {
    expect(sumAmounts(['0.1', '0.2'])).toBe('0.3');
    expect(sumAmounts([`1${'0'.repeat(39)}`, `0.${'0'.repeat(39)}1`])).toBe(`1${'0'.repeat(39)}.${'0'.repeat(39)}1`);
    expect(sumAmounts([])).toBe('0');
    expect(sumAmounts(['-0.50', '0.25'])).toBe('-0.25');
    expect(sumAmounts(['1.50', '-1.5'])).toBe('0');
  });

  it('compiles a list once for as long as it lives', () => {
    const list = aPriceList([{ model: '*', meter: 'requests', unitAmount: '1', per: 1 }]);
    expect(compilePriceList(list)).toBe(compilePriceList(list));
  });
});

describe('the contract of price lists', () => {
  it('admits only rates that can be divided exactly, one for each model and meter', () => {
    const rate: Rate = { model: 'digits', meter: 'requests', unitAmount: '1', per: 1 };
    expect(priceListSchema.safeParse(aPriceList([rate, { ...rate, model: '*' }])).success).toBe(true);
    for (const per of [0, 2, 12, 500, 10_000_000_000])
      expect(priceListSchema.safeParse(aPriceList([{ ...rate, per }])).success).toBe(false);
    expect(priceListSchema.safeParse(aPriceList([rate, { ...rate, unitAmount: '2' }])).success).toBe(false);
  });
});
