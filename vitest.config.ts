import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Campaigns that take minutes; begun last, one of them would run on alone while the other cores idle. */
const LONG = [
  'crash/kill',
  'windows/kill',
  'damage/damage',
  'power/power',
  'engine/model.property',
  'syscalls/syscalls',
  'past/past',
  'e2e/clients',
];

/** What of the engine opens, saves, verifies, puts back and erases. */
const RECOVERY = [
  'open',
  'rebuild',
  'after-loss',
  'build-checkpoint',
  'checkpoint-checks',
  'checkpoint-files',
  'checkpoint-loading',
  'checkpoints',
  'verify*',
  'verified-state',
  'online-*',
  'rollback*',
  'repair',
  'redact*',
  'eras*',
  'horizon',
  'keep-history',
  'backup*',
  'fork',
  'replay*',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex(name => moduleId.includes(`/test/${name}.`));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests run against dist/ (the "#src/*" imports of package.json): what is tested is what ships, workers and wasm included.
    pool: 'forks',
    // Two, also where there are only two cores: the longest campaign mostly waits for processes that it kills.
    maxWorkers: 2,
    // Stores of one campaign side by side: more would take the time from what runs beside it.
    maxConcurrency: 2,
    setupFiles: process.env.PROFILES_DIR === undefined ? [] : ['test/helpers/profiles.ts'],
    coverage: {
      provider: 'v8',
      include: ['dist/wal/**/*.js', ...RECOVERY.map(name => `dist/src/engine/${name}.js`)],
      reporter: ['text', 'html', 'json'],
      reportsDirectory: 'coverage/branches',
      reportOnFailure: true,
    },
    sequence: { sequencer: LongestFirst },
    // What is waited for comes when the machine has time for it.
    expect: { poll: { timeout: 20_000 } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
