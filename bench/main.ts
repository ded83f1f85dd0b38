import { benchEdge } from './edge/edge.bench.ts';
import { machine } from './measure.ts';
import { benchStartup } from './startup/startup.bench.ts';

/** `npm run bench [name…]`: runs the benchmarks and prints their figures in Markdown. */
const BENCHMARKS: Readonly<Record<string, () => Promise<string>>> = { edge: benchEdge, startup: benchStartup };

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  process.stderr.write(`There is no benchmark ${unknown.join(', ')}. There are: ${Object.keys(BENCHMARKS).join(', ')}.\n`);
  process.exit(2);
}

process.stdout.write(`${new Date().toISOString().slice(0, 10)}, ${machine()}\n\n`);
for (const [name, run] of Object.entries(BENCHMARKS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  process.stdout.write(`## ${name}\n\n${await run()}\n`);
}
process.exit(0);
