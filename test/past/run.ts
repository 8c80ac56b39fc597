/** `npm run torture:past`: as many random histories as one likes, each asked of random moments of its past. See --help. */
import { runCommand, stopwatch, wholeNumber } from '../helpers/campaign-command.js';
import { playHistories } from './history.js';
import { MemoryHistory } from './memory-history.js';

/** Played at once, with a seed of their own, which a failure names. */
const PIECE = 500;

await runCommand({
  help: `Usage: npm run torture:past -- [options]

Plays random histories, and compares each answer as of a moment with that of a store rebuilt to it.

  --runs N  Default: 10000.
  --seed S  Default: one of the clock's; it is printed.`,
  options: { runs: { type: 'string', default: '10000' } },
  read: ({ runs }) => ({ runs: wholeNumber('--runs', runs) }),
  run: async ({ runs, seed }) => {
    const seconds = stopwatch();
    for (let played = 0; played < runs; played += PIECE) {
      await playHistories(
        Math.min(PIECE, runs - played),
        seed + played,
        compactsEarly => new MemoryHistory(compactsEarly),
      );
      if ((played / PIECE) % 10 === 9)
        console.error(`${played + PIECE} of ${runs} histories, ${seconds().toFixed(0)} s`);
    }
    console.log(
      `${runs} histories (seed ${seed}) in ${seconds().toFixed(0)} s: every answer as of a moment is that of a store rebuilt to it`,
    );
    return true;
  },
});
