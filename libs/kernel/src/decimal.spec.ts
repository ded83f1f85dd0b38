import { describe, expect, it } from 'vitest';
import { Decimal, DECIMAL_PATTERN, minorUnitDigits, roundToPayable, sumDecimals } from './decimal.ts';

describe('amounts', () => {
  it('are summed exactly, where floating point is not', () => {
    expect(sumDecimals(['0.1', '0.2'])).toBe('0.3');
    expect(sumDecimals(Array.from({ length: 1_000 }, () => '0.001'))).toBe('1');
    expect(sumDecimals(['12345678901234567890.123456789', '0.000000001'])).toBe('12345678901234567890.12345679');
    expect(sumDecimals([])).toBe('0');
  });

  it('are written without an exponent, however small or large', () => {
    for (const text of ['0.00000000000000000000000001', '100000000000000000000000000000'])
      expect(new Decimal(text).toFixed()).toMatch(DECIMAL_PATTERN);
  });

  it.each([
    ['2.345', 'EUR', '2.34'],
    ['2.355', 'EUR', '2.36'],
    ['2.3551', 'EUR', '2.36'],
    ['-2.345', 'EUR', '-2.34'],
    ['2.5', 'JPY', '2'],
    ['3.5', 'JPY', '4'],
    ['1.0005', 'KWD', '1.000'],
    ['1', 'EUR', '1.00'],
  ])('%s %s is paid as %s', (amount, currency, payable) => {
    expect(roundToPayable({ amount, currency })).toEqual({ amount: payable, currency });
  });

  it('are paid in the minor unit of their currency', () => {
    expect(['EUR', 'JPY', 'KWD'].map(minorUnitDigits)).toEqual([2, 0, 3]);
  });

  it.each(['1e5', '.5', '1.', 'NaN', '', '+1', '1,5', ' 1', `${'9'.repeat(41)}`])('are not written %j', (text) => {
    expect(text).not.toMatch(DECIMAL_PATTERN);
  });
});
