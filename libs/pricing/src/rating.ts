import type { Meter, PriceList, Rate, UsageQuantity } from '@weir/contracts';
import { AppError, type Money } from '@weir/kernel';
import { formatExact, parseExact, plus, times, ZERO, type Exact } from './exact.ts';

/** What one meter of a call, or of an invoice, costs. */
export interface RatedLine {
  readonly meter: Meter;
  /** Units used, a plain decimal. */
  readonly quantity: string;
  /** Price of `per` units, a plain decimal; `0` when the meter has no rate. */
  readonly unitAmount: string;
  /** Units that `unitAmount` buys: a power of ten; 1 when the meter has no rate. */
  readonly per: number;
  /** quantity × unitAmount / per, exact. */
  readonly amount: string;
}

export interface Rating {
  /** Exact sum of the lines' amounts, not rounded. */
  readonly cost: Money;
  /** One for each quantity, in the order given. */
  readonly lines: readonly RatedLine[];
}

/** A price list made ready for rating. */
export interface CompiledPriceList {
  readonly id: string;
  readonly currency: string;
  /** Has the model a rate for at least one meter, of its own or by `*`? */
  hasPrice(model: string): boolean;
  /**
   * What the quantities of one model cost. A rate of the model's own goes before one of `*`, meter by meter; a meter without a rate is free.
   *
   * @throws price.missing   the model has no rate for any meter: it is not for sale, so nothing may be served or rated as if it were free
   * @throws request.invalid a quantity is not a plain decimal
   */
  rate(model: string, quantities: readonly UsageQuantity[]): Rating;
  /**
   * What a call would cost if it used these quantities: the `cost` of `rate`, without its lines. For reservations.
   *
   * @throws price.missing, request.invalid as `rate`
   */
  estimate(model: string, quantities: readonly UsageQuantity[]): Money;
}

interface CompiledRate {
  readonly unitAmount: string;
  readonly per: number;
  /** unitAmount / per. */
  readonly price: Exact;
}

type RatesOfModel = ReadonlyMap<Meter, CompiledRate>;

const FREE: CompiledRate = { unitAmount: '0', per: 1, price: ZERO };

const compiled = new WeakMap<PriceList, CompiledPriceList>();

/**
 * Makes a price list ready for rating. The same list object is compiled once and then remembered as long as it lives.
 *
 * @throws request.invalid a rate's `unitAmount` is not a plain decimal or its `per` not a power of ten
 */
export function compilePriceList(list: PriceList): CompiledPriceList {
  const known = compiled.get(list);
  if (known !== undefined) return known;
  const made = compile(list);
  compiled.set(list, made);
  return made;
}

function compile(list: PriceList): CompiledPriceList {
  const everyModel = new Map<Meter, CompiledRate>();
  const ofModel = new Map<string, Map<Meter, CompiledRate>>();
  for (const rate of list.rates) if (rate.model === '*') everyModel.set(rate.meter, compileRate(rate));
  for (const rate of list.rates) {
    if (rate.model === '*') continue;
    let rates = ofModel.get(rate.model);
    if (rates === undefined) ofModel.set(rate.model, (rates = new Map(everyModel)));
    rates.set(rate.meter, compileRate(rate));
  }
  const { currency } = list;

  function ratesOf(model: string): RatesOfModel {
    const rates = ofModel.get(model) ?? everyModel;
    if (rates.size === 0) throw new AppError('price.missing', { message: `The model ${model} has no price in the plan.` });
    return rates;
  }

  return {
    id: list.id,
    currency,
    hasPrice: (model) => ofModel.has(model) || everyModel.size > 0,
    rate(model, quantities) {
      const rates = ratesOf(model);
      let total = ZERO;
      const lines = quantities.map(({ meter, quantity }): RatedLine => {
        const rate = rates.get(meter) ?? FREE;
        const amount = times(parseExact(quantity, 'quantity'), rate.price);
        total = plus(total, amount);
        return { meter, quantity, unitAmount: rate.unitAmount, per: rate.per, amount: formatExact(amount) };
      });
      return { cost: { amount: formatExact(total), currency }, lines };
    },
    estimate(model, quantities) {
      const rates = ratesOf(model);
      let total = ZERO;
      for (const { meter, quantity } of quantities)
        total = plus(total, times(parseExact(quantity, 'quantity'), (rates.get(meter) ?? FREE).price));
      return { amount: formatExact(total), currency };
    },
  };
}

/**
 * What `quantity` units cost at a rate: quantity × unitAmount / per, exact.
 *
 * @throws request.invalid a number is not a plain decimal, or `per` is not a power of ten
 */
export function amountOf(quantity: string, rate: Pick<Rate, 'unitAmount' | 'per'>): string {
  return formatExact(times(parseExact(quantity, 'quantity'), compileRate(rate).price));
}

/** Sums plain decimals exactly, however long they are. */
export function sumAmounts(amounts: Iterable<string>): string {
  let total = ZERO;
  for (const amount of amounts) total = plus(total, parseExact(amount, 'amount'));
  return formatExact(total);
}

function compileRate({ unitAmount, per }: Pick<Rate, 'unitAmount' | 'per'>): CompiledRate {
  const price = parseExact(unitAmount, 'unitAmount');
  return { unitAmount, per, price: { digits: price.digits, scale: price.scale + exponentOf(per) } };
}

/** The n of `per` = 10^n. Only a power of ten divides every decimal without a remainder that would have to be rounded. */
function exponentOf(per: number): number {
  const text = String(per);
  if (!/^10*$/.test(text)) throw new AppError('request.invalid', { message: 'per must be a power of ten.', field: 'per' });
  return text.length - 1;
}
