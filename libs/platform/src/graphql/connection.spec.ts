import { describe, expect, it } from 'vitest';
import { cursorInstant, decodeCursor, encodeCursor } from './connection.ts';

const refusal = { code: 'request.invalid', field: 'after' };

describe('a cursor', () => {
  it('gives back the sort key that it was made of', () => {
    expect(decodeCursor(encodeCursor(['2026-03-14T12:00:00.000Z', 'a "quoted" ключ']))).toEqual([
      '2026-03-14T12:00:00.000Z',
      'a "quoted" ключ',
    ]);
  });

  it.each(['\u0000', 'a\u0007b', '\ud800', 'x'.repeat(1_000)])('is refused with a part that no sort key holds: %j', (part) => {
    expect(() => decodeCursor(encodeCursor(['a', part]))).toThrow(expect.objectContaining(refusal));
  });
});

describe('the instant in a cursor', () => {
  it('is what Date wrote', () => {
    for (const text of ['1970-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z']) expect(cursorInstant(text).toISOString()).toBe(text);
  });

  it.each([undefined, '', 'x', '2026-03-14', '+275760-09-13T00:00:00.000Z', '0000-01-01T00:00:00.000Z', '2026-02-30T25:00:00.000Z'])(
    'is refused where it is %j',
    (text) => {
      expect(() => cursorInstant(text)).toThrow(expect.objectContaining(refusal));
    },
  );
});
