import { expect, it } from 'vitest';
import { comparedPeriods } from './period.ts';

const spans = (now: string): string[] =>
  comparedPeriods(Date.parse(now)).map(({ start, through }) => `${start.toISOString().slice(0, 13)} ${through.toISOString().slice(0, 13)}`);

it.each([
  ['2026-03-14T12:30:00Z', ['2026-02-01T00 2026-03-01T00', '2026-03-01T00 2026-03-14T12']],
  // Five minutes are left for the usage of an hour to arrive.
  ['2026-03-14T12:04:59Z', ['2026-02-01T00 2026-03-01T00', '2026-03-01T00 2026-03-14T11']],
  ['2026-03-14T12:05:00Z', ['2026-02-01T00 2026-03-01T00', '2026-03-01T00 2026-03-14T12']],
  // A month without an hour that is over is not compared yet, and the one before without its last hour.
  ['2026-03-01T00:04:00Z', ['2026-02-01T00 2026-02-28T23']],
  ['2026-01-01T02:00:00Z', ['2025-12-01T00 2026-01-01T00', '2026-01-01T00 2026-01-01T01']],
])('at %s the hours that are over in the previous and the running month are compared', (now, expected) => {
  expect(spans(now)).toEqual(expected);
});
