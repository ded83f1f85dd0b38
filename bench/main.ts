import { benchEdge } from './edge/edge.bench.ts';
import { benchEdgeNeighbours } from './edge/neighbours.bench.ts';
import { machine } from './measure.ts';
import { benchStartup } from './startup/startup.bench.ts';
import { benchFairness } from './worker/fairness.bench.ts';
import { benchLengths } from './worker/lengths.bench.ts';
import { benchMemory } from './worker/memory.bench.ts';
import { benchNeighbours } from './worker/neighbours.bench.ts';
import { benchPeers } from './worker/peers.bench.ts';
import { benchRaw } from './worker/raw.bench.ts';

/** `npm run bench [name…]`: runs the benchmarks and prints their figures in Markdown; `worker` is all that begin with it. */
const BENCHMARKS: Readonly<Record<string, () => Promise<string>>> = {
  edge: benchEdge,
  'edge/neighbours': benchEdgeNeighbours,
  startup: benchStartup,
  'worker/peers': benchPeers,
  'worker/raw': benchRaw,
  'worker/lengths': benchLengths,
  'worker/memory': benchMemory,
  'worker/neighbours': benchNeighbours,
  'worker/fairness': benchFairness,
};

const isAsked = (name: string, by: string): boolean => name === by || name.startsWith(`${by}/`);
const asked = process.argv.slice(2);
const unknown = asked.filter((by) => !Object.keys(BENCHMARKS).some((name) => isAsked(name, by)));
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(', ')}. There are: ${Object.keys(BENCHMARKS).join(', ')}.\n`);
  process.exit(2);
}

process.stdout.write(`${new Date().toISOString().slice(0, 10)}, ${machine()}\n\n`);
for (const [name, run] of Object.entries(BENCHMARKS)) {
  if (asked.length > 0 && !asked.some((by) => isAsked(name, by))) continue;
  process.stdout.write(`## ${name}\n\n${await run()}\n`);
}
process.exit(0);
