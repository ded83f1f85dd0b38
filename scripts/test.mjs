// The whole test run of `npm test`: types, lint, format, unused code, then all tests. The last line is `N passed, N failed`,
// where each static check counts as one test. `--static` leaves the tests out.
import process from 'node:process';
import { CLOSING_LINE, runCheck } from './checks/run-check.mjs';

const node = process.execPath;
const nx = ['node_modules/nx/dist/bin/nx.js', 'show', 'projects'];

/** Compiles everything: the platform's tests run what it emits, so it comes first. */
const types = { name: 'types', commands: [[node, 'node_modules/typescript-7/bin/tsc', '-b']] };

/** Two at a time, because a laptop or a small container has two cores. */
const staticChecks = [
  [
    // Without the project graph, which `nx show projects` computes, the boundaries rule only warns that it was skipped.
    {
      name: 'lint (module boundaries, ESLint)',
      commands: [
        [node, ...nx],
        [node, 'node_modules/eslint/bin/eslint.js', '--max-warnings=0', '.'],
      ],
    },
    { name: 'lint (types, oxlint)', commands: [[node, 'node_modules/oxlint/bin/oxlint', '--type-aware']] },
  ],
  [
    { name: 'format (prettier)', commands: [[node, 'node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']] },
    { name: 'unused code and dependencies (knip)', commands: [[node, 'node_modules/knip/bin/knip.js', '--no-config-hints']] },
  ],
];

const vitest = [
  node,
  'node_modules/vitest/vitest.mjs',
  'run',
  ...['unit', 'integration', 'platform'].flatMap((project) => ['--project', project]),
];

const results = [await report(types)];
for (const pair of staticChecks) results.push(...(await Promise.all(pair.map(report))));
if (!process.argv.includes('--static')) results.push(await runTests());

const failures = results.flatMap((result) => result.failures);
if (failures.length > 0) process.stdout.write(`\nFailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}\n`);
const sum = (field) => results.reduce((total, result) => total + result[field], 0);
process.stdout.write(`\n${sum('passed')} passed, ${sum('failed')} failed\n`);
process.exitCode = sum('failed') === 0 ? 0 : 1;

async function report(check) {
  const { isGood, output, seconds } = await runCheck(check.commands);
  process.stdout.write(isGood ? `ok      ${check.name} (${seconds} s)\n` : `FAILED  ${check.name} (${seconds} s)\n${output}\n`);
  return isGood ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: [check.name] };
}

/** Vitest, shown as it runs; its own closing line tells the counts. */
async function runTests() {
  const { isGood, output } = await runCheck([vitest], { show: true, lastLine: CLOSING_LINE });
  const counts = CLOSING_LINE.exec(output);
  if (counts === null) return { passed: 0, failed: 1, failures: ['the tests ended without a result'] };
  const [passed, failed, skipped] = counts.slice(1).map((count) => Number(count ?? 0));
  const failures = [...new Set([...output.matchAll(/^ FAIL {2}(.+)$/gm)].map((match) => match[1]))];
  if (skipped > 0) failures.push(`${skipped} skipped tests: a test that does not run proves nothing`);
  const isUnexplained = !isGood && failed === 0;
  if (isUnexplained) failures.push('the tests passed and their run failed (see above)');
  return { passed, failed: failed + skipped + (isUnexplained ? 1 : 0), failures };
}
