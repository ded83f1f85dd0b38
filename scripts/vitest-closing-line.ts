import type { Reporter, TestModule } from 'vitest/node';

/** Closes a run with one line of plain counts: `N passed, N failed`, and the skipped ones where there are any. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    for (const module of modules) {
      const states = [...module.children.allTests()].map((test) => test.result().state);
      passed += states.filter((state) => state === 'passed').length;
      failed += states.filter((state) => state === 'failed').length;
      skipped += states.filter((state) => state === 'skipped').length;
      // A file that does not load has no tests; it counts as one failure.
      if (module.state() === 'failed' && !states.includes('failed')) failed++;
    }
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  }
}
