import { percentile, show, summarise } from '../measure.ts';
import { keepInFlight, keepRate, type Call } from './calls.ts';
import { openInferenceCall } from './inference-calls.ts';
import { computeBoundNetwork, smallNetwork, type BenchNetwork } from './networks.ts';
import { Serving } from './serving.ts';

const ROUNDS = 9;
const SECONDS = 4;
const PER_SECOND = 100;
const HEAVY_IN_FLIGHT = 16;
const SLOTS = 2;

/** What callers of a small model notice of a heavy one that has always more to do than it can. */
export async function benchNeighbours(): Promise<string> {
  const serving = await Serving.start({ slots: SLOTS, queueWaitMs: 30_000 });
  try {
    const heavy: BenchNetwork = { ...computeBoundNetwork(400), name: 'heavy' };
    const small = smallNetwork();
    for (const network of [small, heavy]) {
      serving.place(network.name, { 'model.onnx': network.file });
      await serving.load(network.name);
    }
    const call = async (network: BenchNetwork): Promise<Call> =>
      openInferenceCall(network, 'JSON', { origin: serving.origin, model: network.name, headers: await serving.headers() });
    await keepInFlight([await call(small)], 20_000, 16);
    await keepInFlight([await call(heavy)], 32, HEAVY_IN_FLIGHT);
    const alone: number[] = [];
    const beside: number[] = [];
    const delays: number[] = [];
    const all = { alone: [] as number[], beside: [] as number[] };
    const measure = async (): Promise<number[]> => (await keepRate(await call(small), PER_SECOND, SECONDS, 16)).map(({ ms }) => ms);
    for (let round = 0; round < ROUNDS; round++) {
      const quiet = await measure();
      all.alone.push(...quiet);
      alone.push(percentile(quiet, 0.99));
      await serving.metrics();
      const heavyCall = await call(heavy);
      const stop = { isOver: false };
      const saturated = saturate(heavyCall, stop);
      const busy = await measure();
      stop.isOver = true;
      await saturated;
      const [lag] = (await serving.metrics()).get('nodejs_eventloop_lag_p99_seconds') ?? [];
      delays.push((lag?.value ?? NaN) * 1_000 - 10);
      all.beside.push(...busy);
      beside.push(percentile(busy, 0.99));
    }
    const ratios = beside.map((ms, round) => ms / (alone[round] ?? NaN));
    const line = (name: string, p99: readonly number[], latencies: readonly number[]): string =>
      `| ${name} | ${percentile(latencies, 0.5).toFixed(2)} ms | ${percentile(latencies, 0.99).toFixed(2)} ms | ${show(summarise(p99), 'ms', 2)} |`;
    return `The small network at ${PER_SECOND} calls a second, alone and while a network of about 40 ms a row has ${HEAVY_IN_FLIGHT} calls in flight, in turns; ${SLOTS} runs at once, ${ROUNDS} rounds of ${SECONDS} s. Median (range) of the rounds.

| | p50 of all | p99 of all | p99 of the rounds |
|---|---|---|---|
${line('alone', alone, all.alone)}
${line('beside the heavy one', beside, all.beside)}

p99 beside the heavy one: ${show(summarise(ratios), '×', 2)} of alone. Delay of the accepting thread's event loop meanwhile, p99: ${show(summarise(delays), 'ms', 1)}.
`;
  } finally {
    await serving.stop();
  }
}

async function saturate(call: Call, stop: { readonly isOver: boolean }): Promise<void> {
  while (!stop.isOver) await keepInFlight([call], HEAVY_IN_FLIGHT * 2, HEAVY_IN_FLIGHT);
}
