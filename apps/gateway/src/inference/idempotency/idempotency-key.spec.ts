import { describe, expect, test } from 'vitest';
import { idempotencyKey, identityOf, KEY_LIFE_MS, receiptIdsOf, type KeyedCall } from './idempotency-key.ts';

const aKeyedCall = (overrides: Partial<KeyedCall> = {}): KeyedCall => ({
  tenantId: 'acme',
  modelId: 'model-1',
  key: 'order-7',
  alias: undefined,
  version: undefined,
  message: { headers: { 'content-type': 'application/json' }, body: Buffer.from('{"inputs":[]}') },
  ...overrides,
});
const body = (text: string): Pick<KeyedCall, 'message'> => ({
  message: { headers: { 'content-type': 'application/json' }, body: Buffer.from(text) },
});

describe('an idempotency key', () => {
  test.each([
    ['', false],
    ['k', true],
    ['k'.repeat(255), true],
    ['k'.repeat(256), false],
  ])('is 1 to 255 characters long', (value, isTaken) => {
    if (isTaken) expect(idempotencyKey(value, 'input.idempotencyKey').value).toBe(value);
    else
      expect(() => idempotencyKey(value, 'input.idempotencyKey')).toThrow(
        expect.objectContaining({ code: 'request.invalid', field: 'input.idempotencyKey' }),
      );
  });

  test.each([
    ['tenant', { tenantId: 'globex' }],
    ['model', { modelId: 'model-2' }],
    ['key', { key: 'order-8' }],
    ['part of both', { tenantId: 'acme","model-1', modelId: 'x' }],
  ])('of another %s is another key', (_, overrides) => {
    expect(identityOf(aKeyedCall(overrides)).keyDigest).not.toBe(identityOf(aKeyedCall()).keyDigest);
  });

  test.each([
    ['body', body('{"inputs":[1]}')],
    ['form of the body', { message: { headers: { 'content-type': 'application/octet-stream' }, body: Buffer.from('{"inputs":[]}') } }],
    ['alias', { alias: 'beta' }],
    ['version', { version: '2' }],
  ])('with another %s stands for another call', (_, overrides) => {
    const [first, other] = [identityOf(aKeyedCall()), identityOf(aKeyedCall(overrides))];
    expect(other.keyDigest).toBe(first.keyDigest);
    expect(other.callDigest).not.toBe(first.callDigest);
  });
});

describe('the receipt of a call with a key', () => {
  const NOON = Date.parse('2026-03-14T12:00:00Z');
  const identity = identityOf(aKeyedCall());

  test('has one id at every gateway and moment of a period, and another for another call', () => {
    const { id } = receiptIdsOf(identity, NOON);
    expect(receiptIdsOf(identityOf(aKeyedCall()), NOON + 3_600_000).id).toBe(id);
    expect(receiptIdsOf(identityOf(aKeyedCall({ tenantId: 'globex' })), NOON).id).not.toBe(id);
    expect(receiptIdsOf(identityOf(aKeyedCall(body('{}'))), NOON).id).not.toBe(id);
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  });

  test('names those of the periods beside it, and they name it', () => {
    const first = receiptIdsOf(identity, NOON);
    const next = receiptIdsOf(identity, NOON + KEY_LIFE_MS);
    expect(next.id).not.toBe(first.id);
    expect(next.neighbourIds[0]).toBe(first.id);
    expect(first.neighbourIds[1]).toBe(next.id);
  });
});
