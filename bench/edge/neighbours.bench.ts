import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseEnv } from 'node:util';
import { removePostgres } from '@weir/embedded-postgres';
import { WebSocket } from 'ws';
import { percentile } from '../measure.ts';

/** Another checkout, built, can be measured with the same bench: the one before a change. */
const ROOT = process.env['WEIR_BENCH_ROOT'] ?? fileURLToPath(new URL('../../', import.meta.url));
const AGGRESSOR = fileURLToPath(new URL('./aggressor.ts', import.meta.url));
const PORT = 42_000 + (process.pid % 1_000);
const READY_TIMEOUT_MS = 240_000;
/** How long the other tenant calls, alone and during each attack. */
const ROUND_MS = 12_000;
const ROUNDS = 3;
const SOCKETS = 2_000;

const ATTACKS = {
  introspection: '28 documents with 28 introspections each, anonymous',
  nesting: '2 bodies of 8 MB that nest 4 M deep, anonymous',
  reads: '400 GraphQL reads of one key',
} as const;
type Attack = keyof typeof ATTACKS;

const READ = JSON.stringify({ query: '{ models(first: 5) { nodes { name } } }' });
const INFER = JSON.stringify({ inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['The food was wonderful.'] }] });

/**
 * Latency of one tenant's calls on the whole platform, alone and beside bursts of another client, one a second: a GraphQL read and an
 * inference alternately, one at a time.
 */
export async function benchEdgeNeighbours(): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'weir-neighbours-'));
  const home = path.join(directory, '.weir');
  const launcher = fork(path.join(ROOT, 'apps/weir/dist/main.js'), ['start'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], WEIR_HOME: home, WEIR_PORT: String(PORT), WEIR_GRPC_PORT: '0' },
  });
  try {
    const { url, victim, aggressor } = await tenants(home, launcher);
    const samples = new Map<string, Sample>();
    const note = (name: string, sample: Sample): void => {
      const known = samples.get(name) ?? { reads: [], infers: [], failed: 0, outcomes: {} };
      known.reads.push(...sample.reads);
      known.infers.push(...sample.infers);
      known.failed += sample.failed;
      for (const [outcome, count] of Object.entries(sample.outcomes)) known.outcomes[outcome] = (known.outcomes[outcome] ?? 0) + count;
      samples.set(name, known);
    };
    await callsOf(url, victim);
    for (let round = 0; round < ROUNDS; round++) {
      note('alone', await callsOf(url, victim));
      for (const attack of Object.keys(ATTACKS) as Attack[]) note(attack, await during(attack, url, aggressor, victim));
    }
    const sockets = await socketBeside(url, victim);
    return report(samples, sockets);
  } finally {
    launcher.kill('SIGINT');
    if (launcher.exitCode === null) await once(launcher, 'exit');
    removePostgres(path.join(home, 'postgres'));
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Sample {
  readonly reads: number[];
  readonly infers: number[];
  failed: number;
  /** Answers of the attack, by status and code. */
  readonly outcomes: Record<string, number>;
}

interface Tenants {
  readonly url: string;
  /** API keys. */
  readonly victim: string;
  readonly aggressor: string;
}

async function tenants(home: string, launcher: ChildProcess): Promise<Tenants> {
  const file = path.join(home, 'demo.env');
  const deadline = performance.now() + READY_TIMEOUT_MS;
  const isReady = new Promise<void>((resolve) => launcher.on('message', ({ type }: { type?: string }) => type === 'ready' && resolve()));
  await Promise.race([
    isReady,
    sleep(deadline - performance.now(), undefined, { ref: false }).then(() => Promise.reject(new Error('the platform did not start'))),
  ]);
  if (!existsSync(file)) throw new Error('the platform made no demonstration');
  const demo = parseEnv(readFileSync(file, 'utf8'));
  const url = `http://127.0.0.1:${PORT}`;
  const operator = await signIn(url, demo['WEIR_OPERATOR_EMAIL'], demo['WEIR_OPERATOR_PASSWORD']);
  const owner = { email: 'owner@aggressor.example', name: 'Owner', password: 'a long enough passphrase for a bench' };
  await graph(url, operator, 'mutation ($input: CreateTenantInput!) { createTenant(input: $input) { tenant { id } } }', {
    slug: 'aggressor',
    displayName: 'Aggressor',
    owner,
  });
  const person = await signIn(url, owner.email, owner.password);
  const { createApiKey } = await graph<{ createApiKey: { secret: string } }>(
    url,
    person,
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }',
    { name: 'bench', scopes: ['models.read', 'usage.read', 'infer'] },
  );
  const admin = await signIn(url, demo['WEIR_ADMIN_EMAIL'], demo['WEIR_ADMIN_PASSWORD']);
  const victim = await graph<{ createApiKey: { secret: string } }>(
    url,
    admin,
    'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }',
    { name: 'bench', scopes: ['models.read', 'infer'], limits: { requestsPerMinute: 100_000 } },
  );
  return { url, victim: victim.createApiKey.secret, aggressor: createApiKey.secret };
}

async function signIn(url: string, email = '', password = ''): Promise<string> {
  const answer = await fetch(`${url}/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  return ((await answer.json()) as { token: string }).token;
}

async function graph<Data>(url: string, credential: string, query: string, input: object): Promise<Data> {
  const answer = await post(url, '/graphql', credential, JSON.stringify({ query, variables: { input } }));
  const { data, errors } = (await answer.json()) as { data: Data; errors?: { message: string }[] };
  if (errors !== undefined) throw new Error(errors.map(({ message }) => message).join('; '));
  return data;
}

const post = (url: string, to: string, credential: string, body: string): Promise<Response> =>
  fetch(url + to, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` }, body });

/** The tenant's calls for a while. One that waits for long is counted once, with the time that it took. */
async function callsOf(url: string, key: string): Promise<Sample> {
  const sample: Sample = { reads: [], infers: [], failed: 0, outcomes: {} };
  const call = async (latencies: number[], to: string, body: string): Promise<void> => {
    const startedAtMs = performance.now();
    const answer = await post(url, to, key, body);
    if (answer.status !== 200 || (await answer.text()).includes('"errors"')) sample.failed += 1;
    latencies.push(performance.now() - startedAtMs);
  };
  const endAtMs = performance.now() + ROUND_MS;
  while (performance.now() < endAtMs) {
    await call(sample.reads, '/graphql', READ);
    await call(sample.infers, '/v2/models/sentiment/infer', INFER);
  }
  return sample;
}

async function during(attack: Attack, url: string, aggressor: string, victim: string): Promise<Sample> {
  const child = fork(AGGRESSOR, [url, attack, aggressor]);
  let outcomes: Record<string, number> = {};
  child.on('message', (counted: Record<string, number>) => (outcomes = counted));
  try {
    // The first burst has to be there before anything is measured.
    await sleep(1_500);
    return { ...(await callsOf(url, victim)), outcomes };
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
    for (const [name, count] of Object.entries(outcomes)) process.stderr.write(`${attack}: ${count} × ${name}\n`);
    // Work left over from one attack must not count in the next.
    await sleep(3_000);
  }
}

interface SocketOutcome {
  readonly opened: number;
  readonly known: string;
}

/** Does a caller with a key get a socket while many anonymous ones are open, and keep it? */
async function socketBeside(url: string, key: string): Promise<SocketOutcome> {
  const open = (): WebSocket => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    socket.on('error', () => undefined);
    return socket;
  };
  const anonymous: WebSocket[] = [];
  for (let i = 0; i < SOCKETS; i += 50) {
    const batch = Array.from({ length: 50 }, open);
    anonymous.push(...batch);
    await Promise.all(
      batch.map(
        (socket) =>
          new Promise((resolve) => socket.once('open', () => resolve(socket.send('{"type":"connection_init"}'))).once('close', resolve)),
      ),
    );
  }
  const opened = anonymous.filter((socket) => socket.readyState === WebSocket.OPEN).length;
  const known = await new Promise<string>((resolve) => {
    const socket = open();
    socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { apiKey: key } })));
    socket.once('unexpected-response', (_, response) => resolve(String(response.statusCode)));
    socket.once('message', () => resolve('acknowledged'));
    socket.once('close', (code) => resolve(String(code)));
  });
  for (const socket of anonymous) socket.terminate();
  return { opened, known };
}

function report(samples: ReadonlyMap<string, Sample>, sockets: SocketOutcome): string {
  const alone = samples.get('alone');
  if (alone === undefined) throw new Error('nothing was measured');
  const of = (values: readonly number[], base: readonly number[]): string => {
    const [p50, p99] = [percentile(values, 0.5), percentile(values, 0.99)];
    return `${p50.toFixed(1)} / ${p99.toFixed(1)} | ${(p99 / percentile(base, 0.99)).toFixed(2)} ×`;
  };
  const rows = [...samples].map(
    ([name, { reads, infers, failed }]) =>
      `| ${name === 'alone' ? name : ATTACKS[name as Attack]} | ${of(reads, alone.reads)} | ${of(infers, alone.infers)} | ${failed} of ${reads.length + infers.length} |`,
  );
  return `${ROUNDS} rounds of ${ROUND_MS / 1000} s each; bursts of one a second, or as soon as the last one is answered.

| beside | read, p50 / p99 ms | p99 of alone | inference, p50 / p99 ms | p99 of alone | failed |
|---|---|---|---|---|---|
${rows.join('\n')}

${SOCKETS} anonymous sockets: ${sockets.opened} open at once; one with a key then: ${sockets.known}.
`;
}
