import { AppError } from '@weir/kernel';
import { describe, expect, it } from 'vitest';
import { createLogger, createMetrics } from '../telemetry/index.ts';
import { reportError } from './report-error.ts';

const lines: string[] = [];
const logger = createLogger({
  service: 'spec',
  instanceId: 'spec',
  level: 'info',
  destination: { write: (line) => void lines.push(line) },
});

describe('an error that is answered', () => {
  it('is counted by its code, and writes no log line when it is a refusal', async () => {
    const metrics = createMetrics('spec');
    for (const code of ['worker.overloaded', 'worker.overloaded', 'limit.requests', 'service.unavailable'] as const)
      reportError(new AppError(code, { cause: new Error('refused') }), 'request-1', logger);
    expect(lines).toEqual([]);
    const text = await metrics.metrics();
    expect(text).toMatch(/^weir_errors_total\{code="worker.overloaded",service="spec"\} 2$/m);
    expect(text).toMatch(/^weir_errors_total\{code="limit.requests",service="spec"\} 1$/m);
  });

  it('is logged with its stack only when it was unforeseen', () => {
    reportError(new AppError('model.failed', { cause: new Error('broken network') }), 'request-2', logger);
    reportError(new AppError('internal.error', { cause: new TypeError('x is not a function') }), 'request-3', logger);
    const [failed, unforeseen] = lines.splice(0).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(failed).toMatchObject({ level: 'warn', code: 'model.failed', requestId: 'request-2', reason: 'broken network' });
    expect(JSON.stringify(failed)).not.toContain('stack');
    expect(unforeseen).toMatchObject({ level: 'error', requestId: 'request-3', err: { type: 'TypeError', stack: expect.anything() } });
  });
});
