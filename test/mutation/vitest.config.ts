import { defineConfig } from 'vitest/config';

/** Tests that take seconds at most, since each that reaches a mutant runs for it. TESTS names others, divided by commas. */
const SHORT = [
  'backup',
  'backup-files',
  'backup-lock',
  'backup-prune',
  'backup-retention',
  'backup-segments',
  'backup-strangers',
  'compare-leveldb',
  'disk-answers',
  'head-file',
  'io-error',
  'level-reader',
  'links',
  'log-contract',
  'new-store',
  'opening-lies',
  'own-records',
  'owner',
  'quarantine',
  'quarantine-erase',
  'record',
  'record-file',
  'stretch',
  'transactions',
  'walk',
].map(name => `test/wal/${name}.test.ts`);

export default defineConfig({
  test: {
    include: process.env.TESTS?.split(',') ?? SHORT,
    setupFiles: ['test/mutation/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
