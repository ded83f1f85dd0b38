import { Decimal as DecimalJs } from 'decimal.js';

/**
 * Exact decimal arithmetic for money and quantities. Sums and products are exact up to
 * 60 significant digits; nothing is rounded but by `roundToPayable`.
 */
export const Decimal = DecimalJs.clone({ precision: 60, rounding: DecimalJs.ROUND_HALF_EVEN, toExpNeg: -60, toExpPos: 60, defaults: true });
export type Decimal = DecimalJs;

/** A plain decimal number such as `-12.50`; no exponent, at most 40 digits a side. */
export const DECIMAL_PATTERN = /^-?\d{1,40}(\.\d{1,40})?$/;

/** An amount in a currency. `amount` is a plain decimal string, `currency` an ISO 4217 code. */
export interface Money {
  readonly amount: string;
  readonly currency: string;
}

/** Sums plain decimal strings exactly. */
export function sumDecimals(values: Iterable<string>): string {
  let total = new Decimal(0);
  for (const value of values) total = total.plus(value);
  return total.toFixed();
}

const minorDigits = new Map<string, number>();

/** Digits after the point that a currency is paid in (ISO 4217): 2 for EUR, 0 for JPY. */
export function minorUnitDigits(currency: string): number {
  const known = minorDigits.get(currency);
  if (known !== undefined) return known;
  const digits = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
  minorDigits.set(currency, digits);
  return digits;
}

/** The amount as it can be paid: rounded half to even to the currency's minor unit. */
export function roundToPayable(money: Money): Money {
  return {
    amount: new Decimal(money.amount).toFixed(minorUnitDigits(money.currency), DecimalJs.ROUND_HALF_EVEN),
    currency: money.currency,
  };
}
