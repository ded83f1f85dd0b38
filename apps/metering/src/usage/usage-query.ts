import { AppError } from '@weir/kernel';
import { cursorError, cursorInstant, type PageRequest } from '@weir/platform/graphql';
import { checkText, isSearchable } from '../search-text.ts';

/** Length of the periods that usage is summed over, in UTC. */
export type Grain = 'minute' | 'hour' | 'day';

/** What rows are kept apart by, beside time and currency. */
export type UsageDimension = 'model' | 'principal' | 'meter';

/** What a caller asks for; what is left out is filled in by `usageQuery`. */
export interface UsageFilter {
  readonly from?: Date | null | undefined;
  readonly to?: Date | null | undefined;
  readonly grain?: Grain | null | undefined;
  readonly model?: string | null | undefined;
  readonly principalId?: string | null | undefined;
}

/** A query that is complete and within bounds. */
export interface UsageQuery {
  readonly grain: Grain;
  /** Periods that start at `from` or later … */
  readonly from: Date;
  /** … and before `to`. */
  readonly to: Date;
  readonly model: string | null;
  readonly principalId: string | null;
  readonly dimensions: ReadonlySet<UsageDimension>;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const GRAIN_MS: Readonly<Record<Grain, number>> = { minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS };

/** Longest range of a grain. Finer grains have more rows a day; each range keeps a query below some 10,000 periods. */
export const LONGEST_RANGE_MS: Readonly<Record<Grain, number>> = { minute: 7 * DAY_MS, hour: 366 * DAY_MS, day: 3660 * DAY_MS };
const LONGEST_RANGE_WORDS: Readonly<Record<Grain, string>> = { minute: '7 days', hour: '366 days', day: '10 years' };

/** The range that is shown when only a grain is given. */
const DEFAULT_RANGE_MS: Readonly<Record<Grain, number>> = { minute: HOUR_MS, hour: DAY_MS, day: 30 * DAY_MS };

const EVERY_DIMENSION: ReadonlySet<UsageDimension> = new Set(['model', 'principal', 'meter']);

/**
 * Completes a filter: the grain is hours, `to` is now, `from` is an hour, a day or 30 days before it by grain.
 *
 * @throws request.invalid naming the field: the range is empty, or longer than its grain allows
 */
export function usageQuery(filter: UsageFilter, dimensions: readonly UsageDimension[] | null, nowMs: number): UsageQuery {
  const grain = filter.grain ?? 'hour';
  const to = filter.to ?? new Date(nowMs);
  const from = startOf(grain, filter.from ?? new Date(to.getTime() - DEFAULT_RANGE_MS[grain]));
  checkRange(from, to, grain);
  checkText('filter.model', filter.model);
  checkText('filter.principalId', filter.principalId);
  return {
    grain,
    from,
    to,
    model: filter.model ?? null,
    principalId: filter.principalId ?? null,
    dimensions: dimensions === null ? EVERY_DIMENSION : new Set(dimensions),
  };
}

/** @throws request.invalid */
function checkRange(from: Date, to: Date, grain: Grain): void {
  const rangeMs = to.getTime() - from.getTime();
  if (!(rangeMs > 0)) throw new AppError('request.invalid', { field: 'filter.from', message: 'filter.from: must be before filter.to.' });
  // The first period counts from its start, so the range may be up to one period longer than what was asked for.
  if (rangeMs >= LONGEST_RANGE_MS[grain] + GRAIN_MS[grain]) {
    throw new AppError('request.invalid', {
      field: 'filter.from',
      message: `filter.from: with the grain ${grain.toUpperCase()} the range may be ${LONGEST_RANGE_WORDS[grain]} at most.`,
    });
  }
}

/** The start of the period that holds the moment; all grains divide the Unix epoch evenly in UTC. */
function startOf(grain: Grain, moment: Date): Date {
  return new Date(Math.floor(moment.getTime() / GRAIN_MS[grain]) * GRAIN_MS[grain]);
}

/** One period of one combination of the dimensions asked for. */
export interface UsageRow {
  readonly bucketStart: Date;
  /** Null where rows are not kept apart by it. */
  readonly model: string | null;
  readonly principalKind: string | null;
  readonly principalId: string | null;
  readonly meter: string | null;
  /** Null unless rows are kept apart by meter: units of different meters cannot be added. */
  readonly quantity: string | null;
  readonly calls: number;
  readonly cost: { readonly amount: string; readonly currency: string };
}

/** The sums of everything that a query covers, whatever the page. */
export interface UsageTotals {
  readonly calls: number;
  /** One for each currency. */
  readonly costs: readonly { readonly amount: string; readonly currency: string }[];
  readonly quantities: readonly { readonly meter: string; readonly quantity: string }[];
}

/** Where a row stands in the list: newest period first, then by name. */
export function sortKeyOf(row: UsageRow): readonly string[] {
  return [
    row.bucketStart.toISOString(),
    row.cost.currency,
    row.model ?? '',
    row.principalKind ?? '',
    row.principalId ?? '',
    row.meter ?? '',
  ];
}

/**
 * The sort key in a cursor.
 *
 * @throws request.invalid it is a cursor of another list
 */
export function usageCursor(page: PageRequest): readonly string[] | null {
  if (page.after === null) return null;
  cursorInstant(page.after[0]);
  if (page.after.length !== 6 || !page.after.every(isSearchable)) throw cursorError();
  return page.after;
}
