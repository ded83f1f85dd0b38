import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicrosOfTree, memoryOf, percentile, show, summarise } from '../measure.ts';
import { keepInFlight, keepRate, type Call, type Outcome } from './calls.ts';
import { openInferenceCall, rowOf, type Body } from './inference-calls.ts';
import { computeBoundNetwork, smallNetwork, weightBoundNetwork, type BenchNetwork } from './networks.ts';
import { Workshop } from './processes.ts';
import { Serving } from './serving.ts';

const IN_FLIGHT = 16;
/** Calls after which V8 has made its best code of what serves them. */
const WARM_UP = 20_000;
const PEER_WARM_UP = 500;
const IDLE_PER_SECOND = 50;
const IDLE_SECONDS = 4;
const QUEUE_WAIT_MS = 1_000;
/** Until V8's heap has the size that it needs. */
const OVERLOAD_WARM_UP_SECONDS = 45;
const OVERLOAD_SECONDS = 20;

interface Party {
  readonly name: string;
  readonly body: Body;
  readonly pid: number;
  /** Made anew for each round: tokens do not live long. */
  readonly call: () => Promise<Call>;
  readonly cpu: number[];
  readonly latencies: number[];
  readonly idle: number[];
}

/** What one call costs, beside the peers on the same network: CPU of all processes, latency at saturation and when idle, overload. */
export async function benchPeers(): Promise<string> {
  const sections = [
    await beside(smallNetwork(), { rounds: 11, calls: 2_000 }),
    await beside(weightBoundNetwork(), { rounds: 11, calls: 400 }),
    await beside(computeBoundNetwork(), { rounds: 9, calls: 160 }),
  ];
  return `${sections.join('\n')}\n${await overload()}`;
}

async function beside(network: BenchNetwork, { rounds, calls }: { readonly rounds: number; readonly calls: number }): Promise<string> {
  const workshop = new Workshop();
  const serving = await Serving.start();
  try {
    const parties = await start(workshop, serving, network);
    for (let round = 0; round < rounds; round++) {
      for (const party of round % 2 === 0 ? parties : parties.toReversed()) {
        const call = await party.call();
        if (party.name !== RAW_HTTP) {
          const before = cpuMicrosOfTree(party.pid);
          const outcomes = await keepInFlight([call], calls, IN_FLIGHT);
          party.cpu.push((cpuMicrosOfTree(party.pid) - before) / calls);
          party.latencies.push(...outcomes.map(({ ms }) => ms));
        }
      }
    }
    const rows = await rowsInARun(serving, network);
    for (let round = 0; round < 3; round++) {
      for (const party of parties) {
        party.idle.push(...(await keepRate(await party.call(), IDLE_PER_SECOND, IDLE_SECONDS, 4)).map(({ ms }) => ms));
      }
    }
    return report(network, parties, rows, { rounds, calls });
  } finally {
    await serving.stop();
    workshop.close();
  }
}

const RAW_HTTP = 'node:http and ONNX Runtime, unbatched';

async function start(workshop: Workshop, serving: Serving, network: BenchNetwork): Promise<Party[]> {
  const small = smallNetwork();
  for (const each of new Map([small, network].map((one) => [one.name, one])).values()) {
    serving.place(each.name, { 'model.onnx': each.file });
    await serving.load(each.name);
  }
  const file = workshop.file(network.name, network.file);
  const mosec = await workshop.mosec(file);
  const mlserver = await workshop.mlserver(file);
  const litserve = await workshop.litserve(file);
  const raw = await workshop.rawHttp(file);
  const json = { 'content-type': 'application/json' };
  const row = rowOf(network);
  const party = (name: string, body: Body, pid: number, call: Party['call']): Party => ({
    name,
    body,
    pid,
    call,
    cpu: [],
    latencies: [],
    idle: [],
  });
  const worker = async (body: Body, of = network): Promise<Call> =>
    openInferenceCall(of, body, { origin: serving.origin, model: of.name, headers: await serving.headers() });
  const fixed = (call: Call) => async (): Promise<Call> => call;
  const parties = [
    party('worker', 'JSON', serving.pid, () => worker('JSON')),
    party('worker', 'binary', serving.pid, () => worker('binary')),
    party(
      'mosec',
      'JSON',
      mosec.pid,
      fixed({ origin: mosec.origin, path: '/json', headers: json, body: Buffer.from(JSON.stringify(row)) }),
    ),
    party(
      'mosec',
      'binary',
      mosec.pid,
      fixed({ origin: mosec.origin, path: '/binary', headers: {}, body: Buffer.from(Float32Array.from(row).buffer) }),
    ),
    party(
      'MLServer',
      'JSON',
      mlserver.pid,
      fixed(openInferenceCall(network, 'JSON', { origin: mlserver.origin, model: 'network', headers: {} })),
    ),
    party(
      'LitServe',
      'JSON',
      litserve.pid,
      fixed({ origin: litserve.origin, path: '/predict', headers: json, body: Buffer.from(JSON.stringify({ x: row })) }),
    ),
    party(RAW_HTTP, 'JSON', raw.pid, fixed(openInferenceCall(network, 'JSON', { origin: raw.origin, model: 'network', headers: {} }))),
  ];
  for (const body of ['JSON', 'binary'] as const) await keepInFlight([await worker(body, small)], WARM_UP, IN_FLIGHT);
  for (const each of parties) await keepInFlight([await each.call()], PEER_WARM_UP, IN_FLIGHT);
  return parties;
}

async function rowsInARun(serving: Serving, network: BenchNetwork): Promise<number> {
  const series = (await serving.metrics()).get('weir_model_batch_rows') ?? [];
  const value = (end: string): number =>
    series.find(({ labels, metricName }) => labels['model'] === network.name && metricName?.endsWith(end))?.value ?? NaN;
  return value('_sum') / value('_count');
}

function report(
  network: BenchNetwork,
  parties: readonly Party[],
  rows: number,
  { rounds, calls }: { readonly rounds: number; readonly calls: number },
): string {
  const ratio = (party: Party, other: string): string => {
    const peer = parties.find(({ name, body }) => name === other && (body === party.body || other === 'MLServer'));
    if (peer === undefined || party.name !== 'worker') return '';
    return show(summarise(party.cpu.map((value, round) => value / (peer.cpu[round] ?? NaN))), '×', 2);
  };
  const rowsOfTable = parties.map((party) => {
    const [p50, p99] = [percentile(party.idle, 0.5).toFixed(2), percentile(party.idle, 0.99).toFixed(2)];
    const saturated =
      party.cpu.length === 0
        ? ['', '']
        : [
            show(summarise(party.cpu), 'µs'),
            `${percentile(party.latencies, 0.5).toFixed(1)} / ${percentile(party.latencies, 0.99).toFixed(1)}`,
          ];
    return `| ${party.name}, ${party.body} | ${saturated[0]} | ${ratio(party, 'mosec')} | ${ratio(party, 'MLServer')} | ${saturated[1]} | ${p50} / ${p99} |`;
  });
  return `### ${network.name}

${rounds} rounds of ${calls} calls, ${IN_FLIGHT} in flight; ${rows.toFixed(1)} rows in a run of the worker. Idle: ${IDLE_PER_SECOND} calls a second.

| | CPU per call | of mosec | of MLServer | p50 / p99 ms at saturation | p50 / p99 ms idle |
|---|---|---|---|---|---|
${rowsOfTable.join('\n')}
`;
}

/** Three times as many calls as it can do: what is refused, how soon; what is taken, how late; and what becomes of the memory. */
async function overload(): Promise<string> {
  const network = computeBoundNetwork();
  const serving = await Serving.start({ queueWaitMs: QUEUE_WAIT_MS });
  try {
    serving.place(network.name, { 'model.onnx': network.file });
    await serving.load(network.name);
    const call = async (): Promise<Call> =>
      openInferenceCall(network, 'binary', { origin: serving.origin, model: network.name, headers: await serving.headers() });
    await keepInFlight([await call()], 2_000, IN_FLIGHT);
    const began = performance.now();
    await keepInFlight([await call()], 1_000, IN_FLIGHT);
    const capacity = 1_000 / ((performance.now() - began) / 1_000);
    await keepRate(await call(), capacity * 3, OVERLOAD_WARM_UP_SECONDS, 1_500);
    await serving.metrics();
    const before = memoryOf(serving.pid).residentBytes;
    const peak = watchMemory(serving.pid);
    const outcomes = await keepRate(await call(), capacity * 3, OVERLOAD_SECONDS, 1_500);
    const largest = peak();
    const delay = await eventLoopDelayMs(serving);
    await sleep(1_000);
    const after = memoryOf(serving.pid).residentBytes;
    return overloadReport(outcomes, capacity, { before, largest, after }, delay);
  } finally {
    await serving.stop();
  }
}

/** How long the accepting thread kept what was due waiting since the metrics were last asked for: the 99th percentile. */
async function eventLoopDelayMs(serving: Serving): Promise<number> {
  const [lag] = (await serving.metrics()).get('nodejs_eventloop_lag_p99_seconds') ?? [];
  // The probe is a timer of 10 ms, and what it tells contains them.
  return (lag?.value ?? NaN) * 1_000 - 10;
}

function watchMemory(pid: number): () => number {
  let largest = 0;
  const timer = setInterval(() => (largest = Math.max(largest, memoryOf(pid).residentBytes)), 500);
  return () => {
    clearInterval(timer);
    return largest;
  };
}

function overloadReport(
  outcomes: readonly Outcome[],
  capacity: number,
  memory: { readonly before: number; readonly largest: number; readonly after: number },
  delayMs: number,
): string {
  const answered = outcomes.filter(({ status }) => status === 200).map(({ ms }) => ms);
  const refused = outcomes.filter(({ status }) => status === 429).map(({ ms }) => ms);
  const others = outcomes.length - answered.length - refused.length;
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  return `### overload

The compute-bound network at three times its ${capacity.toFixed(0)} calls a second for ${OVERLOAD_SECONDS} s, after ${OVERLOAD_WARM_UP_SECONDS} s of the same; a wait of ${QUEUE_WAIT_MS} ms is the queue's bound.

| | |
|---|---|
| answered | ${answered.length} (${(answered.length / OVERLOAD_SECONDS).toFixed(0)} a second), p50 ${percentile(answered, 0.5).toFixed(0)} ms, p99 ${percentile(answered, 0.99).toFixed(0)} ms |
| refused with 429 | ${refused.length}, p50 ${percentile(refused, 0.5).toFixed(2)} ms, p99 ${percentile(refused, 0.99).toFixed(2)} ms |
| anything else | ${others} |
| resident memory before, at most, after | ${mebibytes(memory.before)}, ${mebibytes(memory.largest)}, ${mebibytes(memory.after)} MiB |
| delay of the accepting thread's event loop, p99 | ${delayMs.toFixed(1)} ms |
`;
}
