import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/**
 * Closes a run with one line of plain counts: `N passed, N failed`, and the skipped ones where there are any. An error
 * outside of any test (an unhandled rejection, a worker that ended) counts as a failure and is named here, because Vitest
 * prints it far above.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], strays: readonly SerializedError[]): void {
    let passed = 0;
    let failed = strays.length;
    let skipped = 0;
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      passed += states.filter((state) => state === 'passed').length;
      failed += states.filter((state) => state === 'failed').length;
      skipped += states.filter((state) => state === 'skipped').length;
      // A file that does not load has no tests; it counts as one failure.
      if (module.state() === 'failed' && !states.includes('failed')) failed++;
    }
    for (const { stack, message } of strays)
      process.stdout.write(` FAIL  outside of any test: ${(stack ?? message).replaceAll(/\s*\n\s*/g, ' | ')}\n`);
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  }
}
