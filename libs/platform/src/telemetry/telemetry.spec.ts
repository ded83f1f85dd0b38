import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from './logger.ts';
import { createMetrics, Histogram, httpRequestHistogram } from './metrics.ts';
import { inRequest } from './request-scope.ts';
import { currentTraceparent, inSpan, isTracingEnabled, startTracing, type Tracing } from './tracing.ts';

describe('logs', () => {
  const lines: string[] = [];
  const logger = createLogger({
    service: 'auth',
    instanceId: 'auth-1',
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  });
  const last = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;

  test('say service, instance, level, time and the request that they belong to', () => {
    inRequest('request-7', () => logger.info({ rows: 3 }, 'loaded'));
    expect(last()).toMatchObject({ service: 'auth', instanceId: 'auth-1', level: 'info', requestId: 'request-7', rows: 3, msg: 'loaded' });
    expect(Date.parse(String(last()['time']))).not.toBeNaN();
    logger.info('outside of a request');
    expect(last()).not.toHaveProperty('requestId');
  });

  test('hold no secret, even where one was handed to them, two levels deep', () => {
    logger.info(
      {
        password: 'hunter2',
        headers: { authorization: 'Bearer hunter2', cookie: 'hunter2' },
        request: { headers: { 'x-weir-internal-token': 'hunter2' } },
      },
      'sign-in',
    );
    expect(lines.at(-1)).not.toContain('hunter2');
  });

  test('say what an error was and not which row it was about', () => {
    const refused = Object.assign(new Error('new row violates check constraint "people_role_check"'), {
      code: '23514',
      detail: 'Failing row contains (p1, someone@acme.example, $argon2id$digest).',
      where: 'COPY people, line 1: "someone@acme.example"',
      meta: { target: 'someone@acme.example' },
    });
    logger.error({ err: new Error('could not be stored', { cause: refused }) }, 'a field failed');
    expect(last()['err']).toEqual({
      type: 'Error',
      message: 'could not be stored: new row violates check constraint "people_role_check"',
      stack: expect.stringContaining('telemetry.spec'),
    });
    logger.error({ err: new AggregateError([refused], 'several') }, 'a field failed');
    expect(last()['err']).toMatchObject({ message: 'several', errors: [{ code: '23514' }] });
    expect(lines.join('\n')).not.toMatch(/someone@acme|argon2id/);
  });

  test('below the level are not written', () => {
    const before = lines.length;
    logger.debug('chatter');
    expect(lines).toHaveLength(before);
  });
});

describe('traces', () => {
  const exporter = new InMemorySpanExporter();
  let tracing: Tracing;

  beforeAll(() => {
    tracing = startTracing({ service: 'gateway', otlpEndpoint: undefined, exporter });
  });
  afterAll(() => tracing.shutdown());

  test('are continued from a traceparent and carried on by one', async () => {
    const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const onward = await inSpan('outer', { traceparent: parent }, () => inSpan('inner', {}, async () => currentTraceparent()));
    expect(onward).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
    expect(onward).not.toBe(parent);
  });

  test('a span whose work fails still ends, and the error goes on', async () => {
    await expect(inSpan('failing', {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(isTracingEnabled()).toBe(true);
  });
});

describe('metrics', () => {
  test('are in base units, by route and status, with the service as their only common label', async () => {
    const registry = createMetrics('auth');
    const histogram: Histogram<'method' | 'route' | 'status'> = httpRequestHistogram(registry);
    histogram.observe({ method: 'GET', route: '/graphql', status: '200' }, 0.003);
    const text = await registry.metrics();
    expect(text).toContain('weir_http_request_seconds_count{service="auth",method="GET",route="/graphql",status="200"} 1');
    expect(text).not.toMatch(/tenant|api_?key/i);
  });
});
