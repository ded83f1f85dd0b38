import { fork, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { issueApiKey } from '@weir/access';
import {
  ALL_TOPICS,
  apiKeyChanged,
  deploymentChanged,
  entitlementChanged,
  priceListPublished,
  tenantChanged,
  workerChanged,
  type EventDefinition,
} from '@weir/contracts';
import { removePostgres, startPostgres } from '@weir/embedded-postgres';
import { systemIds } from '@weir/kernel';
import { createEventBus, toRecord, type EventBus } from '@weir/platform/bus';
import { prepareDatabase } from '@weir/platform/database';
import { createLogger } from '@weir/platform/telemetry';
import { cpuMicros, percentile, show, summarise } from '../measure.ts';
import { drive, type Target } from './load.ts';

const ROUNDS = 9;
const REQUESTS = 3_000;
const IN_FLIGHT = 16;
const LATENCY_REQUESTS = 400;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const GATEWAY = fileURLToPath(new URL('../../apps/gateway/dist/main.js', import.meta.url));

/** A 28×28 picture's worth of request: about one kilobyte of base64. */
const PICTURE = Buffer.alloc(600, 7).toString('base64');
const REST_BODY = JSON.stringify({
  inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', parameters: { content_type: 'base64' }, data: [PICTURE] }],
});
const GRAPHQL_BODY = JSON.stringify({
  query:
    'mutation Infer($input: InferInput!) { infer(input: $input) { id output { ... on Classification { labels { label score } } } usage { meter quantity } cost { amount currency } receiptId } }',
  variables: { input: { model: 'digits', input: { image: { base64: PICTURE } } } },
});

interface Party {
  readonly name: string;
  readonly pid: number;
  readonly target: Target;
  readonly cpuPerOperation: number[];
  readonly latencies: number[];
}

/**
 * CPU time at the gateway for one authenticated, limited, metered inference, beside a bare proxy of `node:http` to the same
 * stub worker, interleaved in one run; and the latency that each adds.
 */
export async function benchEdge(): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'weir-bench-'));
  const postgres = await startPostgres({ dataDirectory: path.join(directory, 'postgres') });
  const children: ChildProcess[] = [];
  let bus: EventBus | undefined;
  try {
    const passwords = { auth: 'bench', registry: 'bench', metering: 'bench', billing: 'bench' };
    await prepareDatabase(postgres.adminUrl, { services: Object.keys(passwords), passwords, busPassword: 'bench' });
    const busUrl = roleUrl(postgres.url(), 'bus', 'bench');
    const stub = await start(children, here('./stub-worker.ts'), []);
    const floor = await start(children, here('./floor-proxy.ts'), [String(stub.port)]);
    const logger = createLogger({ service: 'bench', instanceId: 'bench', level: 'error' });
    bus = createEventBus({ kind: 'embedded', url: busUrl }, { logger, clientId: 'bench' });
    await bus.ensureTopics(ALL_TOPICS);
    const key = await publishWorld(bus, `http://127.0.0.1:${stub.port}`);
    const gateway = await startGateway(children, directory, busUrl);

    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    const rest = { path: '/v2/models/digits/infer', headers, body: REST_BODY };
    const parties: Party[] = [
      {
        name: 'floor: node:http proxy',
        pid: floor.pid,
        target: { ...rest, origin: `http://127.0.0.1:${floor.port}` },
        cpuPerOperation: [],
        latencies: [],
      },
      {
        name: 'gateway, Open Inference Protocol',
        pid: gateway.pid,
        target: { ...rest, origin: gateway.url },
        cpuPerOperation: [],
        latencies: [],
      },
      {
        name: 'gateway, GraphQL',
        pid: gateway.pid,
        target: { path: '/graphql', headers, body: GRAPHQL_BODY, origin: gateway.url },
        cpuPerOperation: [],
        latencies: [],
      },
    ];
    for (const party of parties) await drive(party.target, REQUESTS, IN_FLIGHT);
    for (let round = 0; round < ROUNDS; round++) {
      for (const party of parties) {
        const before = cpuMicros(party.pid);
        await drive(party.target, REQUESTS, IN_FLIGHT);
        // What an operation leaves to be done (usage on its way to the bus) belongs to it.
        await new Promise((resolve) => setTimeout(resolve, 300));
        party.cpuPerOperation.push((cpuMicros(party.pid) - before) / REQUESTS);
        party.latencies.push(...(await drive(party.target, LATENCY_REQUESTS, 1)));
      }
    }
    return report(parties);
  } finally {
    await bus?.close();
    for (const child of children) child.kill('SIGKILL');
    await postgres.stop();
    removePostgres(path.join(directory, 'postgres'));
    rmSync(directory, { recursive: true, force: true });
  }
}

function report(parties: readonly Party[]): string {
  const [floor] = parties;
  if (floor === undefined) throw new Error('nothing was measured');
  const floorP50 = percentile(floor.latencies, 0.5);
  const floorP99 = percentile(floor.latencies, 0.99);
  const rows = parties.map((party) => {
    const ratios = party.cpuPerOperation.map((value, round) => value / (floor.cpuPerOperation[round] ?? NaN));
    const added =
      party === floor
        ? ''
        : `${(percentile(party.latencies, 0.5) - floorP50).toFixed(2)} / ${(percentile(party.latencies, 0.99) - floorP99).toFixed(2)}`;
    return `| ${party.name} | ${show(summarise(party.cpuPerOperation), 'µs')} | ${show(summarise(ratios), '×', 2)} | ${percentile(party.latencies, 0.5).toFixed(2)} / ${percentile(party.latencies, 0.99).toFixed(2)} | ${added} |`;
  });
  return `${ROUNDS} rounds of ${REQUESTS} calls, ${IN_FLIGHT} in flight; latency one at a time. Median (range).

| | CPU per call | of the floor | latency p50 / p99 ms | added p50 / p99 ms |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

async function publishWorld(bus: EventBus, workerUrl: string): Promise<string> {
  const now = new Date().toISOString();
  const key = issueApiKey();
  const publish = async <T>(definition: EventDefinition<T>, data: T): Promise<void> => {
    await bus.send(definition.topic, [
      toRecord(definition, data, { id: systemIds.next(), source: 'bench', tenant: 'acme', occurredAt: now }),
    ]);
  };
  await publish(tenantChanged, {
    id: 'acme',
    slug: 'acme',
    displayName: 'Acme',
    status: 'active',
    limits: { requestsPerMinute: 10_000_000, maxInFlight: 500 },
  });
  await publish(apiKeyChanged, {
    id: key.id,
    tenantId: 'acme',
    digest: key.digest,
    name: 'bench',
    scopes: ['infer'],
    limits: { requestsPerMinute: 10_000_000, maxInFlight: 1_000 },
    expiresAt: null,
  });
  await publish(deploymentChanged, {
    modelId: 'm1',
    model: 'digits',
    ownerTenantId: 'platform',
    visibility: 'public',
    task: 'image-classification',
    alias: 'production',
    versionId: 'v1',
    version: '1',
  });
  await publish(priceListPublished, {
    id: 'pl1',
    planId: 'p1',
    currency: 'EUR',
    effectiveFrom: '2026-01-01T00:00:00Z',
    rates: [
      { model: '*', meter: 'requests', unitAmount: '0.0001', per: 1 },
      { model: 'digits', meter: 'inputs', unitAmount: '0.40', per: 1000 },
    ],
  });
  await publish(entitlementChanged, { tenantId: 'acme', subscriptionId: 's1', planId: 'p1', currency: 'EUR', models: ['*'] });
  const announce = (): Promise<void> =>
    publish(workerChanged, {
      id: 'stub',
      url: workerUrl,
      startedAt: now,
      heartbeatAt: new Date().toISOString(),
      state: 'serving',
      memoryBytes: 0,
      versions: [{ versionId: 'v1', state: 'ready' }],
    });
  await announce();
  setInterval(() => void announce().catch(() => undefined), 5_000).unref();
  return key.secret;
}

async function start(children: ChildProcess[], script: string, args: string[]): Promise<{ pid: number; port: number }> {
  const child = fork(script, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message) => resolve(Number(message)));
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)));
  });
  return { pid: child.pid ?? 0, port };
}

async function startGateway(children: ChildProcess[], directory: string, busUrl: string): Promise<{ pid: number; url: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const kid = 'gateway.bench';
  const signingKeyFile = path.join(directory, 'gateway.jwk');
  const keySetFile = path.join(directory, 'keys.json');
  writeFileSync(signingKeyFile, JSON.stringify({ ...privateKey.export({ format: 'jwk' }), kid }));
  writeFileSync(keySetFile, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] }));
  const port = await freePort();
  const nowhere = 'http://127.0.0.1:9';
  const child = fork(GATEWAY, [], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {
      PATH: process.env['PATH'],
      WEIR_PORT: String(port),
      WEIR_BUS_URL: busUrl,
      WEIR_SIGNING_KEY_FILE: signingKeyFile,
      WEIR_INTERNAL_KEYS_FILE: keySetFile,
      WEIR_SPOOL_DIR: path.join(directory, 'spool'),
      WEIR_SPOOL_SYNC: process.env['WEIR_SPOOL_SYNC'] ?? 'commit',
      WEIR_AUTH_URL: nowhere,
      WEIR_REGISTRY_URL: nowhere,
      WEIR_METERING_URL: nowhere,
      WEIR_BILLING_URL: nowhere,
      WEIR_LOG_LEVEL: 'warn',
    },
  });
  children.push(child);
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    if (answer?.status === 200) return { pid: child.pid ?? 0, url };
    if (Date.now() > deadline) throw new Error(`the gateway is not ready: ${answer === undefined ? 'no answer' : await answer.text()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function roleUrl(url: string, role: string, password: string): string {
  const address = new URL(url);
  address.username = role;
  address.password = password;
  return address.href;
}
