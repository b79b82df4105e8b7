import { defineConfig } from 'vitest/config';

const everywhere = { testTimeout: 60_000, hookTimeout: 60_000 };

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
