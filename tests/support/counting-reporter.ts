import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** What a run came to, as `run-tests.ts` prints it. */
export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
  /** One line per skipped test: its name and why. */
  readonly reasons: string[];
}

/**
 * Counts a run and writes the counts to the file that `TEST_COUNTS` names. A module that cannot be
 * loaded, a hook that throws and an error outside any test each count as one failure: they are
 * something that was to be tested and was not.
 */
export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts: TestCounts = { passed: 0, failed: unhandled.length, skipped: 0, reasons: [] };
    for (const module of modules) {
      count(module, counts);
      counts.failed += module.errors().length;
    }
    const file = process.env['TEST_COUNTS'];
    if (file !== undefined) writeFileSync(file, JSON.stringify(counts));
  }
}

function count(module: TestModule, counts: TestCounts): void {
  for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
  for (const test of module.children.allTests()) {
    const result = test.result();
    if (result.state === 'passed') counts.passed++;
    else if (result.state === 'failed') counts.failed++;
    else {
      counts.skipped++;
      const why = (result.state === 'skipped' ? result.note : undefined) ?? 'no reason given';
      counts.reasons.push(`${module.relativeModuleId} > ${test.fullName}: ${why}`);
    }
  }
}
