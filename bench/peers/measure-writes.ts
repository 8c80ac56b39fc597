import { type Candidate, type Each, isQuick, median, REPETITIONS, searches } from './candidate.js';
import { CONCURRENT, SINGLES } from './dataset.js';

const WRITE_ROUNDS = 3;
const WRITE_ROUND_BUDGET_MS = 4000;

/**
 * Loads all, several times where that is quick. The first store stays; its index is complete before anything else is measured, so that
 * what a system does in the background is neither given time for nothing nor falls on the next one.
 */
export async function load(each: Each): Promise<void> {
  const seconds = new Map<Candidate, number[]>();
  await each('bulk upsert and index', async candidate => {
    const remote = candidate.start();
    const loaded = await remote.call('load');
    const settleSeconds = await remote.call('settle');
    seconds.set(candidate, [loaded.seconds]);
    candidate.figures.isSearchable = loaded.isSearchable;
    if (searches(candidate.kind))
      candidate.figures.indexedPerSecond = candidate.rows / (loaded.seconds + settleSeconds);
  });
  for (let repetition = 1; repetition < REPETITIONS; repetition++)
    await each(`bulk upsert again, ${repetition}`, async candidate => {
      const before = seconds.get(candidate)!;
      if (!isQuick(before)) return;
      const again = candidate.again();
      const { seconds: one } = await again.start().call('load');
      await again.discard();
      seconds.set(candidate, [...before, one]);
    });
  await each('bulk rate', async candidate => {
    candidate.figures.bulkPerSecond = candidate.rows / median(seconds.get(candidate)!);
  });
}

/** Upserts of one row a call: by one caller, then by 64 at once. */
export async function writeSingly(each: Each): Promise<void> {
  const latenciesMs = new Map<Candidate, number[]>();
  const rates = new Map<Candidate, number[]>();
  /** Those that did not write all of a round in time are not asked again: their rows are loaded. */
  const slow = { singles: new Set<Candidate>(), concurrent: new Set<Candidate>() };
  for (let round = 0; round < WRITE_ROUNDS; round++) {
    await each(`one upsert at a time, ${round + 1}`, async candidate => {
      const count = SINGLES / WRITE_ROUNDS;
      const from = candidate.rows + round * count;
      let done = 0;
      if (!slow.singles.has(candidate)) {
        const latencies = await candidate.remote!.call('singles', from, count, WRITE_ROUND_BUDGET_MS);
        latenciesMs.set(candidate, [...(latenciesMs.get(candidate) ?? []), ...latencies]);
        done = latencies.length;
      }
      if (done < count) slow.singles.add(candidate);
      await candidate.remote!.call('fill', from + done, count - done);
    });
    await each(`64 concurrent upserts, ${round + 1}`, async candidate => {
      const count = CONCURRENT / WRITE_ROUNDS;
      const from = candidate.rows + SINGLES + round * count;
      let done = 0;
      if (!slow.concurrent.has(candidate)) {
        const written = await candidate.remote!.call('concurrent', from, count, WRITE_ROUND_BUDGET_MS);
        rates.set(candidate, [...(rates.get(candidate) ?? []), written.done / written.seconds]);
        done = written.done;
      }
      if (done < count) slow.concurrent.add(candidate);
      await candidate.remote!.call('fill', from + done, count - done);
    });
  }
  await each('index', async candidate => {
    candidate.figures.singleMs = median(latenciesMs.get(candidate)!);
    candidate.figures.concurrentPerSecond = median(rates.get(candidate)!);
    await candidate.remote!.call('settle');
  });
}
