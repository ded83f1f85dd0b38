import { AppError, DECIMAL_PATTERN } from '@weir/kernel';

/**
 * A decimal number as an integer and the place of its point: `digits / 10^scale`. Sums and products of such numbers are
 * exact whatever their length, and a division by a power of ten only moves the point; nothing here can round.
 */
export interface Exact {
  readonly digits: bigint;
  /** Digits behind the point; never negative. */
  readonly scale: number;
}

export const ZERO: Exact = { digits: 0n, scale: 0 };

const POWERS_OF_TEN: readonly bigint[] = Array.from({ length: 100 }, (_, exponent) => 10n ** BigInt(exponent));

function powerOfTen(exponent: number): bigint {
  return POWERS_OF_TEN[exponent] ?? 10n ** BigInt(exponent);
}

/**
 * Reads a plain decimal number.
 *
 * @throws request.invalid naming `field` when the text is not one
 */
export function parseExact(text: string, field: string): Exact {
  if (!DECIMAL_PATTERN.test(text)) throw new AppError('request.invalid', { message: `${field} must be a plain decimal number.`, field });
  const point = text.indexOf('.');
  if (point < 0) return { digits: BigInt(text), scale: 0 };
  return { digits: BigInt(text.slice(0, point) + text.slice(point + 1)), scale: text.length - point - 1 };
}

/** The number as text in its shortest plain form: no exponent, no zeros behind the last digit that counts. */
export function formatExact({ digits, scale }: Exact): string {
  const isNegative = digits < 0n;
  const text = (isNegative ? -digits : digits).toString();
  if (scale === 0) return isNegative ? `-${text}` : text;
  const padded = text.length > scale ? text : text.padStart(scale + 1, '0');
  let end = padded.length;
  const point = padded.length - scale;
  while (end > point && padded.charCodeAt(end - 1) === 48) end--;
  const plain = end === point ? padded.slice(0, point) : `${padded.slice(0, point)}.${padded.slice(point, end)}`;
  return isNegative ? `-${plain}` : plain;
}

export function plus(left: Exact, right: Exact): Exact {
  if (left.scale === right.scale) return { digits: left.digits + right.digits, scale: left.scale };
  return left.scale > right.scale
    ? { digits: left.digits + right.digits * powerOfTen(left.scale - right.scale), scale: left.scale }
    : { digits: left.digits * powerOfTen(right.scale - left.scale) + right.digits, scale: right.scale };
}

export function times(left: Exact, right: Exact): Exact {
  return { digits: left.digits * right.digits, scale: left.scale + right.scale };
}
