import { describe, expect, it } from 'vitest';
import { errorOf, ServerRefusal } from './upstream-error.ts';

const SECRET = 'sk-very-secret';
const refused = (status: number, body: unknown = {}, headers: Record<string, string> = {}) =>
  errorOf({ status, headers, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }, SECRET);

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

  it.each([
    ['the Open Inference Protocol', { error: 'unexpected shape for input' }, 'unexpected shape for input'],
    ["OpenAI's API", { error: { message: 'input too long', type: 'invalid_request_error' } }, 'input too long'],
    ['FastAPI', { detail: 'field required' }, 'field required'],
    ['FastAPI with a list', { detail: [{ loc: ['body', 'inputs'], msg: 'field required' }] }, 'field required'],
  ])('of the input says what is wrong, as %s says it', (_, body, part) => {
    expect(refused(400, body).message).toContain(part);
  });

  it('hands on neither paths, addresses nor the secret, in what the caller reads and in what is logged', () => {
    const error = refused(400, { error: `cannot read /opt/models/x/1/model.onnx from http://10.0.0.7:9000/bucket?key=1 with ${SECRET}` });
    for (const text of [error.message, String(error.cause)]) {
      expect(text).toContain('cannot read [path] from [address] with [secret]');
      expect(text).not.toMatch(/opt|10\.0|sk-/);
    }
  });

  it('of the server itself says nothing of it to the caller, and everything to the log', () => {
    const error = refused(500, { error: 'CUDA out of memory' });
    expect(error.message).toBe('The server that runs the model could not answer.');
    expect(error.cause).toBeInstanceOf(ServerRefusal);
    expect(String(error.cause)).toContain('500: CUDA out of memory');
  });

  it('in a page for people, or in no words, is still one of the table', () => {
    expect(refused(400, '<html>Bad Gateway</html>').message).toBe('The server that runs the model refused the call: it answered 400');
    expect(refused(503, '').code).toBe('worker.unreachable');
  });

  it('says after how long to call again, within bounds', () => {
    expect(refused(429, {}, { 'retry-after': '7' }).retryAfterMs).toBe(7_000);
    expect(refused(429, {}, { 'retry-after': '999999' }).retryAfterMs).toBe(3_600_000);
    expect(refused(429, {}, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }).retryAfterMs).toBe(1_000);
  });
});
