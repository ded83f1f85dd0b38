import { describe, expect, it } from 'vitest';
import { timeoutMsOf } from './deadline.ts';

describe('the time of a call', () => {
  it('is what the caller says, but no longer than a run may take', () => {
    expect(timeoutMsOf('250', 30_000, 60_000)).toBe(250);
    expect(timeoutMsOf('90000', 30_000, 60_000)).toBe(60_000);
  });

  it('is the default, within the same bound, when the caller says nothing', () => {
    expect(timeoutMsOf(undefined, 30_000, 60_000)).toBe(30_000);
    expect(timeoutMsOf(undefined, 30_000, 10_000)).toBe(10_000);
  });

  it.each([['0'], ['-1'], ['1.5'], ['soon'], [''], ['1e3'], ['9999999999']])(
    'said as %j is refused with the header that is wrong',
    (header) => {
      expect(() => timeoutMsOf(header, 30_000, 60_000)).toThrowError(
        expect.objectContaining({ code: 'request.invalid', field: 'x-weir-timeout-ms' }),
      );
    },
  );
});
