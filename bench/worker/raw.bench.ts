import { cpuMicros, cpuMicrosOfTree, show, summarise } from '../measure.ts';
import { keepInFlight } from './calls.ts';
import { openInferenceCall, type Body } from './inference-calls.ts';
import { computeBoundNetwork, smallNetwork, type BenchNetwork } from './networks.ts';
import { Workshop } from './processes.ts';
import { Serving } from './serving.ts';

const ROUNDS = 11;
const IN_FLIGHT = 16;
const WARM_UP = 20_000;
const BODIES: readonly Body[] = ['JSON', 'binary'];

/** What is left of ONNX Runtime's own throughput when it is served: items per CPU-second, beside a bare loop of the same batches. */
export async function benchRaw(): Promise<string> {
  const rows: string[] = [];
  for (const { cost, layers, calls } of [
    { cost: '2 ms', layers: 22, calls: 240 },
    { cost: '10 ms', layers: 105, calls: 80 },
  ]) {
    rows.push(...(await beside(computeBoundNetwork(layers), cost, calls)));
  }
  return `${ROUNDS} rounds, ${IN_FLIGHT} calls in flight, one row in each; the bare loop runs batches of the sizes that the worker ran in the same round. Median (range).

| | CPU per item, bare | CPU per item, served | rows in a run | items per CPU-second, of bare |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

async function beside(network: BenchNetwork, cost: string, calls: number): Promise<string[]> {
  const workshop = new Workshop();
  const serving = await Serving.start();
  try {
    const loop = await workshop.rawLoop(workshop.file(network.name, network.file));
    const call = async (body: Body, of = network) =>
      openInferenceCall(of, body, { origin: serving.origin, model: of.name, headers: await serving.headers() });
    for (const each of [smallNetwork(), network]) {
      serving.place(each.name, { 'model.onnx': each.file });
      await serving.load(each.name);
    }
    for (const body of BODIES) await keepInFlight([await call(body, smallNetwork())], WARM_UP, IN_FLIGHT);
    await keepInFlight([await call('binary')], calls, IN_FLIGHT);
    const measured = BODIES.map((body) => ({ body, bare: [] as number[], served: [] as number[], rows: [] as number[] }));
    for (let round = 0; round < ROUNDS; round++) {
      for (const { body, bare, served, rows } of measured) {
        const runsBefore = await serving.runsByRows(network.name);
        const before = cpuMicrosOfTree(serving.pid);
        await keepInFlight([await call(body)], calls, IN_FLIGHT);
        served.push((cpuMicrosOfTree(serving.pid) - before) / calls);
        const batches = [...(await serving.runsByRows(network.name))].flatMap(([size, count]) =>
          Array.from({ length: count - (runsBefore.get(size) ?? 0) }, () => size),
        );
        rows.push(calls / batches.length);
        const bareBefore = cpuMicros(loop.pid);
        await loop.run(batches.map((size) => [size, network.rowSize]));
        bare.push((cpuMicros(loop.pid) - bareBefore) / calls);
      }
    }
    return measured.map(({ body, bare, served, rows }) => {
      const ratios = bare.map((value, round) => value / (served[round] ?? NaN));
      const milliseconds = (values: readonly number[]): string => show(summarise(values.map((value) => value / 1_000)), 'ms', 2);
      return `| ${body}, ${cost} an item | ${milliseconds(bare)} | ${milliseconds(served)} | ${summarise(rows).median.toFixed(1)} | ${show(summarise(ratios), '', 2)} |`;
    });
  } finally {
    await serving.stop();
    workshop.close();
  }
}
