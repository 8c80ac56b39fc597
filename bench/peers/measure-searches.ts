import { CASES, type Candidate, type Each, median, searches } from './candidate.js';
import type { Below } from './dataset.js';
import type { Tuned } from './worker.js';

const SEARCH_ROUNDS = 7;
const SEARCH_PASS_MS = 300;

/** Finds each system's setting, then searches in turns of one short pass each. */
export async function search(each: Each): Promise<void> {
  const settings = new Map<Candidate, Map<Below, Tuned>>();
  const rates = new Map<string, number[]>();
  await each(
    'recall',
    async candidate => {
      const tuned = new Map<Below, Tuned>();
      for (const below of candidate.cases) tuned.set(below, await candidate.remote!.call('tune', below));
      settings.set(candidate, tuned);
    },
    searches,
  );
  const keyOf = (candidate: Candidate, below: Below) => `${candidate.kind.name} ${below}`;
  // The first round only warms up.
  for (let round = 0; round <= SEARCH_ROUNDS; round++)
    for (const below of CASES)
      await each(
        `search ${below === undefined ? '' : `${below / 10} %`}, ${round} of ${SEARCH_ROUNDS}`,
        async candidate => {
          const setting = settings.get(candidate)!.get(below);
          if (!setting) return;
          const perSecond = await candidate.remote!.call(
            'pass',
            { below, effort: setting.effort },
            SEARCH_PASS_MS,
          );
          if (round === 0) return;
          const key = keyOf(candidate, below);
          rates.set(key, [...(rates.get(key) ?? []), perSecond]);
        },
        searches,
      );
  await each(
    'rates',
    async candidate => {
      for (const [below, { effort, recall }] of settings.get(candidate)!)
        candidate.figures.search[below ?? 1000] = {
          perSecond: median(rates.get(keyOf(candidate, below))!),
          recall,
          effort,
        };
    },
    searches,
  );
}
