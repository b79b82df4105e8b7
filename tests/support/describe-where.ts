// Names and suites are the callers', and what this machine has is known before any test runs.
/* oxlint-disable vitest/no-conditional-tests, vitest/valid-describe-callback, vitest/valid-title, vitest/expect-expect */
import { describe, test } from 'vitest';

/** A suite that needs what this machine may not have: without it, one skipped test that says why. */
export function describeWhere(missing: string | null, name: string, suite: () => void): void {
  if (missing === null) describe(name, suite);
  else test(name, ({ skip }) => skip(missing));
}
