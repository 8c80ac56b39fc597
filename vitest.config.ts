import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests run against dist/ (the "#src/*" imports of package.json): what is tested is what ships, workers and wasm included.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
