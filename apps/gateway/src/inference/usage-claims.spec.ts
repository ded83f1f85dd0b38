import { createLogger, createMetrics } from '@weir/platform/telemetry';
import { expect, test } from 'vitest';
import { UsageClaims } from './usage-claims.ts';

const SECRET = 'a prompt that nobody logs';
const logged: string[] = [];
const metrics = createMetrics('gateway');
const logger = createLogger({
  service: 'gateway',
  instanceId: 'spec',
  level: 'info',
  destination: { write: (line) => void logged.push(line) },
});
const claims = new UsageClaims(logger, metrics);

const read = (header: string | undefined, bytes = 100) =>
  claims
    .read(header, { model: 'digits', version: '1', message: { headers: {}, body: Buffer.from(SECRET.padEnd(bytes)) } })
    .map(({ meter, quantity }) => `${meter}=${quantity}`)
    .join(',');

test.each([['inputs=2,input-tokens=31'], ['inputs=1,input-tokens=0,audio-seconds=0.036'], ['inputs=100,input-tokens=600']])(
  'counts that the request can explain are metered as they are: %s',
  (header) => {
    expect(read(header)).toBe(header);
  },
);

test.each([
  ['inputs=101,input-tokens=0', 'inputs=100,input-tokens=0'],
  ['inputs=1,input-tokens=99999999999999', 'inputs=1,input-tokens=664'],
  ['inputs=99999999999999,input-tokens=99999999999999', 'inputs=100,input-tokens=7000'],
  ['inputs=1,input-tokens=0,audio-seconds=999999', 'inputs=1,input-tokens=0,audio-seconds=0.05'],
])(
  'a count that the request cannot explain is metered at the bound, counted and logged without the prompt: %s',
  async (header, metered) => {
    logged.length = 0;
    expect(read(header)).toBe(metered);
    expect(logged.join()).toContain('more than the request can explain');
    expect(logged.join()).not.toContain(SECRET);
    expect(await metrics.getSingleMetricAsString('weir_usage_claims_bounded_total')).toMatch(/\} [1-9]/);
  },
);

test('a meter of a newer worker is left out', () => {
  expect(read('inputs=1,dreams=7')).toBe('inputs=1');
  expect(read(undefined)).toBe('');
});

test.each([['inputs=-1'], ['inputs=1e9'], ['inputs=NaN'], ['inputs'], [''], ['inputs=1,inputs=1'], ['requests=5'], ['inputs=1=2']])(
  'usage that is no list of counts fails the call: %j',
  (header) => {
    expect(() => read(header)).toThrow(expect.objectContaining({ code: 'model.failed' }));
  },
);
