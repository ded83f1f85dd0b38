// The test run of `npm run test:kafka`: the event bus' conformance suite and the platform on a real Apache Kafka, which
// is fetched first, and which the suite's set-up starts and stops. The last line is `N passed, N failed`. Arguments go to Vitest.
import process from 'node:process';
import { kafkaJars } from '../libs/testing/src/kafka/kafka-files.ts';
import { CLOSING_LINE, runCheck } from './checks/run-check.mjs';

try {
  await kafkaJars();
} catch (error) {
  process.stdout.write(`${error.message}\n\n0 passed, 1 failed\n`);
  process.exit(1);
}

// The Kafka client computes a wait that is negative and harmless; Node says so once in each process.
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --disable-warning=TimeoutNegativeWarning`.trim();
const vitest = [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', '--project', 'kafka', ...process.argv.slice(2)];
const { isGood } = await runCheck([vitest], { show: true, lastLine: CLOSING_LINE });
process.exitCode = isGood ? 0 : 1;
