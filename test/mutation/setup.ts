/** Threads and processes that a test starts run the mutant too: the instrumented code looks for it in their environment. */
import { beforeAll, inject } from 'vitest';

beforeAll(() => {
  const given = inject as (key: string) => string | undefined;
  if (given('mode') === 'mutant') process.env.__STRYKER_ACTIVE_MUTANT__ = given('activeMutant');
});
