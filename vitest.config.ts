import { defineConfig } from 'vitest/config';

const shared = {
  ssr: { resolve: { conditions: ['@weir/source'] } },
  // Vite would take graphql's ES modules, Node takes its CommonJS: two copies, whose types are not each other's.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
};

/** Waits for what must come true end late, so that a busy machine fails no test; what comes true ends them at once. */
const patient = { expect: { poll: { timeout: 10_000 } } };

export default defineConfig({
  test: {
    reporters: ['default', './scripts/vitest-closing-line.ts'],
    coverage: {
      provider: 'v8',
      include: ['apps/*/src/**', 'libs/*/src/**'],
      exclude: ['**/generated/**', '**/*.spec.ts', '**/main.ts'],
      reporter: ['text-summary', 'json-summary'],
    },
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: ['{apps,libs}/*/src/**/*.spec.ts', 'scripts/**/*.spec.ts'],
          exclude: ['**/*.int.spec.ts', '**/*.kafka.spec.ts', '**/*.compat.spec.ts'],
          environment: 'node',
          testTimeout: 20_000,
          ...patient,
        },
      },
      {
        ...shared,
        test: {
          name: 'integration',
          include: ['{apps,libs}/*/src/**/*.int.spec.ts'],
          globalSetup: ['libs/testing/src/global-setup.ts'],
          environment: 'node',
          ...patient,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'platform',
          include: ['tests/**/*.spec.ts'],
          exclude: ['tests/kafka/**'],
          environment: 'node',
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        // Beside servers of others, which it installs from PyPI; not a part of `npm test`.
        ...shared,
        test: {
          name: 'compatibility',
          include: ['{apps,libs}/*/src/**/*.compat.spec.ts'],
          globalSetup: ['libs/testing/src/global-setup.ts'],
          environment: 'node',
          ...patient,
          testTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'kafka',
          include: ['tests/kafka/**/*.spec.ts', 'libs/platform/src/bus/**/*.kafka.spec.ts'],
          globalSetup: ['libs/testing/src/kafka/global-setup.ts'],
          environment: 'node',
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
