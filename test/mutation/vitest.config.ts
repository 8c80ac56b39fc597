import { defineConfig } from 'vitest/config';

/** Tests that take seconds at most, since each that reaches a mutant runs for it. TESTS names others, divided by commas. */
const SHORT = [
  'head-file',
  'leveldb-all-files',
  'leveldb-formats',
  'leveldb-log-records',
  'leveldb-logs',
  'leveldb-manifest',
  'leveldb-table-readers',
  'leveldb-tables',
  'leveldb-values',
  'own-records',
  'quarantine-erase',
  'record',
  'record-file',
  'repair-chain',
  'repair-found',
  'repair-plan',
  'repair-salvage',
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
