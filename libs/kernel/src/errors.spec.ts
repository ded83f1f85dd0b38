import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorsDocument } from './errors-document.ts';
import { AppError, ERROR_KINDS, ERRORS, isErrorCode, toAppError } from './errors.ts';

const DOCUMENT = new URL('../../../docs/errors.md', import.meta.url);

describe('the error table', () => {
  test('is what docs/errors.md says', () => {
    if (process.env['WEIR_UPDATE_DOCS'] === '1') writeFileSync(DOCUMENT, errorsDocument());
    expect(readFileSync(DOCUMENT, 'utf8')).toBe(errorsDocument());
  });

  test('names codes as noun.reason, with a kind that every surface can say', () => {
    for (const [code, entry] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^[a-z_]+\.[a-z_]+$/);
      expect(ERROR_KINDS[entry.kind].httpStatus).toBeGreaterThanOrEqual(400);
      expect(entry.message).toMatch(/\.$/);
      expect(entry.remedy).toMatch(/\.$/);
    }
  });

  test('an error carries its code, kind and what the caller may know; the cause is kept apart', () => {
    const cause = new Error('connection to 10.0.0.7 refused');
    const error = new AppError('service.unavailable', { retryAfterMs: 500, cause });
    expect(error).toMatchObject({ code: 'service.unavailable', kind: 'unavailable', retryAfterMs: 500, cause });
    expect(error.message).not.toContain('10.0.0.7');
  });

  test('what is unknown becomes internal.error, without its message', () => {
    const error = toAppError(new TypeError('secret detail'));
    expect(error.code).toBe('internal.error');
    expect(error.message).not.toContain('secret detail');
  });

  test('only codes of the table are taken from other processes', () => {
    expect(isErrorCode('model.not_found')).toBe(true);
    expect(isErrorCode('toString')).toBe(false);
    expect(isErrorCode(undefined)).toBe(false);
  });
});
