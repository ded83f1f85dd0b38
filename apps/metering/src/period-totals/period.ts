/** A calendar month in UTC, as far as its hours are over. */
export interface Period {
  readonly start: Date;
  /** End (exclusive) of the hours that are compared. */
  readonly through: Date;
}

const HOUR_MS = 3_600_000;
/** Usage of an hour is usually in the ledger within seconds; what comes later than this after the hour is in the next totals. */
const ALLOWANCE_MS = 5 * 60_000;

/** The month that holds a moment, without hours in which usage is still on its way; null when none of its hours is over. */
export function comparedMonth(momentMs: number, nowMs: number): Period | null {
  const start = monthStart(momentMs, 0);
  const closedMs = Math.floor((nowMs - ALLOWANCE_MS) / HOUR_MS) * HOUR_MS;
  const through = new Date(Math.min(closedMs, monthStart(momentMs, 1).getTime()));
  return through > start ? { start, through } : null;
}

/** The previous and the running month. */
export function comparedPeriods(nowMs: number): readonly Period[] {
  return [monthStart(nowMs, -1).getTime(), nowMs].map((momentMs) => comparedMonth(momentMs, nowMs)).filter((period) => period !== null);
}

function monthStart(momentMs: number, offset: number): Date {
  const moment = new Date(momentMs);
  return new Date(Date.UTC(moment.getUTCFullYear(), moment.getUTCMonth() + offset, 1));
}
