export { assertNever } from './assert-never.ts';
export { systemClock, type Clock } from './clock.ts';
export { Decimal, DECIMAL_PATTERN, minorUnitDigits, roundToPayable, sumDecimals, type Money } from './decimal.ts';
export {
  AppError,
  ERROR_KINDS,
  ERRORS,
  isErrorCode,
  toAppError,
  type AppErrorOptions,
  type ErrorCode,
  type ErrorKind,
  type ErrorKindMapping,
} from './errors.ts';
export { systemIds, type Ids } from './ids.ts';
