/** A calendar month in UTC, as far as its hours are over. */
export interface Period {
  readonly start: Date;
  /** End (exclusive) of the hours that are compared. */
  readonly through: Date;
}

const HOUR_MS = 3_600_000;
/** Usage of an hour is usually in the ledger within seconds; what comes later than this after the hour is in the next totals. */
const ALLOWANCE_MS = 5 * 60_000;

/** The previous and the running month, without hours in which usage is still on its way. */
export function comparedPeriods(nowMs: number): readonly Period[] {
  const through = new Date(Math.floor((nowMs - ALLOWANCE_MS) / HOUR_MS) * HOUR_MS);
  const now = new Date(nowMs);
  const month = (offset: number): Date => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
  return [month(-1), month(0)]
    .map((start, index) => ({ start, through: index === 0 && through > month(0) ? month(0) : through }))
    .filter(({ start, through: end }) => end > start);
}
