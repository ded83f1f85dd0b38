import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepInFlight } from './calls.ts';
import { openInferenceCall } from './inference-calls.ts';
import { largeNetwork, weightBoundNetwork } from './networks.ts';
import { Serving } from './serving.ts';

const CYCLES = 500;
const FIRST_CYCLES = 50;
const MEBIBYTE = 2 ** 20;
const WEIGHTS_BYTES = 256 * MEBIBYTE;

/** What a network costs in memory that its process does not share, in one thread and in two; and what loads and unloads leave behind. */
export async function benchMemory(): Promise<string> {
  const rows: string[] = [];
  for (const where of ['external', 'inline'] as const) {
    const one = await privateBytes(where, 1);
    const two = await privateBytes(where, 2);
    const times = (bytes: number): string => (bytes / WEIGHTS_BYTES).toFixed(2);
    rows.push(`| ${where} | ${mebibytes(one)} (${times(one)} ×) | ${mebibytes(two - one)} (${times(two - one)} ×) |`);
  }
  return `256 MiB of weights, in the network's own file or beside it; private memory beyond that of the process without a model, after calls.

| weights | first thread | second thread |
|---|---|---|
${rows.join('\n')}

${await cycles()}`;
}

async function privateBytes(where: 'inline' | 'external', instances: number): Promise<number> {
  const serving = await Serving.start({ slots: 2 });
  try {
    const { network, data } = largeNetwork(where);
    const runtime = { instances };
    serving.place('large', {
      'model.onnx': network,
      'weir.json': JSON.stringify({ runtime }),
      ...(where === 'external' ? { 'weights.bin': data } : {}),
    });
    const before = privateOf(serving.pid);
    await serving.load('large');
    const call = openInferenceCall({ name: 'large', file: network, rowSize: 1_024 }, 'binary', {
      origin: serving.origin,
      model: 'large',
      headers: await serving.headers(),
    });
    await keepInFlight([call], 40, 8);
    await sleep(1_000);
    return privateOf(serving.pid) - before;
  } finally {
    await serving.stop();
  }
}

async function cycles(): Promise<string> {
  const network = weightBoundNetwork();
  const serving = await Serving.start();
  try {
    serving.place(network.name, { 'model.onnx': network.file });
    const call = async () =>
      openInferenceCall(network, 'binary', { origin: serving.origin, model: network.name, headers: await serving.headers() });
    const resident: number[] = [];
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      await serving.load(network.name);
      if (cycle % 10 === 0) await keepInFlight([await call()], 16, 4);
      await serving.unload(network.name);
      if (cycle % FIRST_CYCLES === 0) resident.push(residentOf(serving.pid));
    }
    const [first = NaN] = resident;
    const last = resident.at(-1) ?? NaN;
    return `${CYCLES} loads and unloads of a network with 65 MiB of weights; resident memory after every ${FIRST_CYCLES}: ${resident.map(mebibytes).join(', ')}. From the ${FIRST_CYCLES}th to the last it grows by ${(((last - first) / first) * 100).toFixed(1)} %.
`;
  } finally {
    await serving.stop();
  }
}

const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(0)} MiB`;

function privateOf(pid: number): number {
  return field(pid, 'RssAnon');
}

function residentOf(pid: number): number {
  return field(pid, 'VmRSS');
}

/** A line of /proc/<pid>/status in bytes. Linux. */
function field(pid: number, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) * 1024;
}
