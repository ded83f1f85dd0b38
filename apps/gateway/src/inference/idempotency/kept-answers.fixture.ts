import { createLogger } from '@weir/platform/telemetry';
import type { CallIdentity } from './idempotency-key.ts';
import type { KeptAnswer } from './kept-answers.ts';

export const silent = createLogger({ service: 'gateway', instanceId: 'spec', level: 'silent' });

export function anAnswer(text = '{"outputs":[]}', overrides: Partial<KeptAnswer> = {}): KeptAnswer {
  return {
    message: { headers: { 'content-type': 'application/json' }, body: Buffer.from(text) },
    model: 'digits',
    version: '1',
    receiptId: 'receipt-1',
    quantities: [{ meter: 'inputs', quantity: '1' }],
    cost: { amount: '0.0005', currency: 'EUR' },
    ...overrides,
  };
}

export function anIdentity(key: string, call = 'a call'): CallIdentity {
  return { keyDigest: `digest of ${key}`, callDigest: `digest of ${call}` };
}
