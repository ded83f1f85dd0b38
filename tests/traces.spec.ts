import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import { aText } from './harness/platform-client.ts';
import { RunningPlatform } from './harness/running-platform.ts';

interface ExportedSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
}

/** What an OTLP exporter sends, as far as the test looks. */
interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly name: string;
        readonly traceId: string;
        readonly spanId: string;
        readonly parentSpanId?: string;
      }[];
    }[];
  }[];
}

describe('traces', () => {
  const spans: ExportedSpan[] = [];
  let received = '';
  let collector: Server;
  let platform: RunningPlatform;

  beforeAll(async () => {
    collector = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        received += body;
        spans.push(...spansOf(JSON.parse(body) as OtlpTraces));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    platform = await RunningPlatform.start({
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: '200' },
    });
  });
  afterAll(async () => {
    await platform.stop();
    collector.closeAllConnections();
    collector.close();
  });

  test('a call is one trace: gateway, worker, over the bus metering and billing, and a field of a service; no prompt is in it', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, 'content-type': 'application/json' };
    const body = JSON.stringify(aText('A sentence that nobody else should read.'));
    expect((await platform.client.fetch('/v2/models/sentiment/infer', { method: 'POST', headers, body })).status).toBe(200);
    await platform.client.fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query: '{ usage { totals { calls } } }' }) });
    await eventually(() => {
      const services = new Set(spans.filter((span) => span.traceId === traceId).map((span) => span.service));
      expect([...services].sort()).toEqual(['weir-billing', 'weir-gateway', 'weir-metering', 'weir-worker']);
    });
    const call = spans.filter((span) => span.traceId === traceId);
    const ids = new Set([...call.map((span) => span.spanId), 'b7ad6b7169203331']);
    for (const span of call) expect(ids).toContain(span.parentSpanId);
    const names = call.map((span) => `${span.service} ${span.name}`);
    expect(names).toContain('weir-gateway POST /v2/models/:model/infer');
    for (const name of ['infer', 'queue', 'batch', 'execute']) expect(names).toContain(`weir-worker ${name}`);
    expect(names).toContain('weir-metering POST /graphql');
    expect(names).toContain('weir-metering consume inference.usage');
    expect(names).toContain('weir-billing consume metering.usage-rolled');
    expect(received).not.toContain('nobody else should read');
    expect(received).not.toContain(platform.demo.WEIR_API_KEY);
  });
});

function spansOf(traces: OtlpTraces): ExportedSpan[] {
  return traces.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes.find((attribute) => attribute.key === 'service.name')?.value.stringValue ?? '';
    return scopeSpans.flatMap((scope) =>
      scope.spans.map(({ name, traceId, spanId, parentSpanId = '' }) => ({ service, name, traceId, spanId, parentSpanId })),
    );
  });
}
