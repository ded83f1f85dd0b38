import { expect, it } from 'vitest';
import { createApiKeySchema, statusOf } from './api-key.ts';

const now = new Date('2026-03-14T12:00:00.000Z');
const earlier = new Date('2026-03-14T11:59:59.999Z');
const later = new Date('2026-03-14T12:00:00.001Z');

it.each([
  [{ expiresAt: null, revokedAt: null }, 'active'],
  [{ expiresAt: later, revokedAt: null }, 'active'],
  [{ expiresAt: now, revokedAt: null }, 'expired'],
  [{ expiresAt: earlier, revokedAt: earlier }, 'revoked'],
] as const)('a key with %o is %s', (key, status) => {
  expect(statusOf(key, now)).toBe(status);
});

it('a key that names no scopes may call models and read usage, and no more', () => {
  expect(createApiKeySchema.parse({ name: ' ci ' })).toEqual({
    name: 'ci',
    scopes: ['infer', 'models.read', 'usage.read'],
    limits: { requestsPerMinute: null, maxInFlight: null },
    expiresAt: null,
  });
});
