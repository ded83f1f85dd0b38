import { describe, expect, it } from 'vitest';
import { errorOf, ServerRefusal } from './upstream-error.ts';

const refused = (status: number, headers: Record<string, string> = {}) => errorOf({ status, headers });

describe('the refusal of another server', () => {
  it.each([
    [400, 'model.input_invalid'],
    [415, 'model.input_invalid'],
    [422, 'model.input_invalid'],
    [413, 'request.too_large'],
    [408, 'request.timeout'],
    [504, 'request.timeout'],
    [429, 'worker.overloaded'],
    // Nothing that the caller could change.
    [401, 'worker.unreachable'],
    [403, 'worker.unreachable'],
    [302, 'worker.unreachable'],
    [500, 'worker.unreachable'],
    [502, 'worker.unreachable'],
    [503, 'worker.unreachable'],
    [404, 'model.not_ready'],
  ])('with %i means %s to the caller', (status, code) => {
    expect(refused(status).code).toBe(code);
  });

  it.each([400, 413, 422, 500, 503])(
    'with %i passes on its status alone: neither to the caller nor to the log anything of its text',
    (status) => {
      const error = refused(status);
      expect(error.message).toMatch(status < 500 ? `refused the call with status ${status}.` : 'could not answer.');
      expect(String(error.cause)).toBe(`ServerRefusal: The server that runs the model answered with status ${status}.`);
      expect(error.cause).toBeInstanceOf(ServerRefusal);
    },
  );

  it('says after how long to call again, within bounds', () => {
    expect(refused(429, { 'retry-after': '7' }).retryAfterMs).toBe(7_000);
    expect(refused(429, { 'retry-after': '999999' }).retryAfterMs).toBe(3_600_000);
    expect(refused(429, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }).retryAfterMs).toBe(1_000);
  });
});
