/** Measures all systems at one size, in turns wherever that is cheap, so that whatever else the machine does meets all of them alike. */
import { join } from 'node:path';
import { Candidate, type Each, type Measured, type MeasureOptions } from './candidate.js';
import { makeDataset } from './dataset.js';
import { search } from './measure-searches.js';
import { startAnew } from './measure-starts.js';
import { load, writeSingly } from './measure-writes.js';
import { countSyncs } from './sync-counts.js';

export async function measure(options: MeasureOptions): Promise<Measured[]> {
  const { kinds, rows, seed, workDir, progress } = options;
  const candidates = kinds.map(kind => new Candidate(kind, Math.min(rows, kind.maxRows ?? rows), options));
  for (const size of new Set(candidates.map(candidate => candidate.rows))) {
    progress(`making ${size} rows`);
    makeDataset(join(workDir, `data-${size}`), size, seed);
  }
  const each: Each = async (what, work, matches = () => true) => {
    for (const candidate of candidates) {
      if (candidate.failure !== undefined || !matches(candidate.kind)) continue;
      progress(`${candidate.rows} rows, ${candidate.kind.title}: ${what}`);
      try {
        await work(candidate);
      } catch (error) {
        candidate.failure = `${what}: ${(error as Error).message}`;
        progress(candidate.failure);
        await candidate.discard();
      }
    }
  };

  await each('syncs', async candidate => {
    const { dir } = candidate.again();
    candidate.figures.syncs = countSyncs({
      system: candidate.kind.name,
      dir,
      dataDir: candidate.dataDir,
      rows: candidate.rows,
      peersDir: options.peersDir,
    });
  });
  await load(each);
  await writeSingly(each);
  await search(each);
  await each('close', candidate => candidate.close());
  await startAnew(each);
  await each('clearing away', candidate => candidate.discard());
  return candidates.map(({ kind, rows: loaded, figures, failure }) => ({
    kind,
    rows: loaded,
    figures,
    failure,
  }));
}
