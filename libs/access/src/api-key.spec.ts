import { describe, expect, it } from 'vitest';
import { API_KEY_PATTERN, digestApiKey, issueApiKey, isWellFormedApiKey } from './api-key.ts';

describe('an API key', () => {
  it('is made so that secret scanners find it, and starts with its id', () => {
    const { id, secret, digest } = issueApiKey();
    expect(secret).toMatch(API_KEY_PATTERN);
    expect(secret.startsWith(`weir_sk_${id}`)).toBe(true);
    expect(digest).toBe(digestApiKey(secret));
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(isWellFormedApiKey(secret)).toBe(true);
  });

  it('is never made twice', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => issueApiKey().secret)).size).toBe(1_000);
  });

  it('that was mistyped in any one place is told apart without a look-up', () => {
    const { secret } = issueApiKey();
    for (let at = 0; at < secret.length; at++) {
      const other = secret[at] === 'a' ? 'b' : 'a';
      expect(isWellFormedApiKey(secret.slice(0, at) + other + secret.slice(at + 1))).toBe(false);
    }
  });

  it.each(['', 'weir_sk_', 'sk-other', `${issueApiKey().secret}x`, `${issueApiKey().secret}\n`, ` ${issueApiKey().secret}`])(
    'is not %j',
    (text) => {
      expect(isWellFormedApiKey(text)).toBe(false);
    },
  );
});
