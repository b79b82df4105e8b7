import { defineConfig } from 'vitest/config';

// A property that is asked to run for long has that time on top.
const propertyMs = Number(process.env['PROPERTY_SECONDS'] ?? 0) * 1000;
const everywhere = {
  testTimeout: 60_000 + 2 * propertyMs,
  hookTimeout: 60_000,
  // A condition that a test waits for may take its time on a busy machine.
  expect: { poll: { timeout: 30_000 } },
};

export default defineConfig({
  test: {
    projects: [
      {
        test: { ...everywhere, name: 'architecture', include: ['tests/architecture.test.ts'] },
      },
      {
        test: {
          ...everywhere,
          name: 'all',
          include: ['**/*.test.ts'],
          exclude: ['node_modules/**', 'dist/**', 'tests/architecture.test.ts'],
        },
      },
    ],
  },
});
