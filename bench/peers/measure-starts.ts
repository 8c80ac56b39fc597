import { type Candidate, type Each, isQuick, median, REPETITIONS, searches } from './candidate.js';
import { readQuestions } from './dataset.js';
import { startOverMcp } from './mcp-start.js';
import { storeOf } from './systems/own.js';

const STARTS = 5;
const MEMORY_ROUNDS = 3;

/** What fresh processes measure of the store that is there. */
export async function startAnew(each: Each): Promise<void> {
  const openMs = new Map<Candidate, number[]>();
  const mcpMs = new Map<Candidate, number[]>();
  const rss = new Map<Candidate, number[]>();
  const anonymous = new Map<Candidate, number[]>();
  const verifySeconds = new Map<Candidate, number[]>();
  for (let round = 0; round < STARTS; round++) {
    await each(
      `opening, ${round + 1}`,
      async candidate => {
        const { ms, isCorrect } = await candidate.start().call('firstAnswer');
        if (!isCorrect && candidate.kind.role === 'own') throw new Error('the first answer was wrong');
        openMs.set(candidate, [...(openMs.get(candidate) ?? []), ms]);
        candidate.figures.openMs = median(openMs.get(candidate)!);
        await candidate.close();
      },
      searches,
    );
    await each(
      `process start over MCP, ${round + 1}`,
      async candidate => {
        const [query] = readQuestions(candidate.dataDir).queries;
        const ms = await startOverMcp(storeOf(candidate.dir), Array.from(query!), candidate.kind.env ?? {});
        mcpMs.set(candidate, [...(mcpMs.get(candidate) ?? []), ms]);
        candidate.figures.mcpMs = median(mcpMs.get(candidate)!);
      },
      kind => kind.role === 'own',
    );
  }
  for (let round = 0; round < MEMORY_ROUNDS; round++)
    await each(
      `memory, ${round + 1}`,
      async candidate => {
        const { rssBytes, anonymousBytes } = await candidate.start().call('memory');
        rss.set(candidate, [...(rss.get(candidate) ?? []), rssBytes]);
        candidate.figures.rssBytes = median(rss.get(candidate)!);
        if (anonymousBytes !== undefined) {
          anonymous.set(candidate, [...(anonymous.get(candidate) ?? []), anonymousBytes]);
          candidate.figures.anonymousBytes = median(anonymous.get(candidate)!);
        }
        await candidate.close();
      },
      searches,
    );
  for (let round = 0; round < REPETITIONS; round++)
    await each(
      `verify, ${round + 1}`,
      async candidate => {
        const seconds = await candidate.start().call('verify');
        verifySeconds.set(candidate, [...(verifySeconds.get(candidate) ?? []), seconds]);
        candidate.figures.verifyPerSecond = candidate.total / median(verifySeconds.get(candidate)!);
        await candidate.remote!.kill();
      },
      kind => kind.verify !== undefined,
    );
  const rebuilt = new Map<Candidate, { firstMs: number; indexedSeconds: number }[]>();
  for (let round = 0; round < REPETITIONS; round++)
    await each(
      `indexes lost, ${round + 1}`,
      async candidate => {
        const before = rebuilt.get(candidate) ?? [];
        if (round > 0 && !isQuick(before.map(({ indexedSeconds }) => indexedSeconds))) return;
        candidate.kind.loseIndexes!(candidate.dir);
        const one = await candidate.start().call('rebuild');
        if (!one.isCorrect) throw new Error('the first answer after the loss was wrong');
        await candidate.close();
        rebuilt.set(candidate, [...before, one]);
        const all = rebuilt.get(candidate)!;
        candidate.figures.rebuiltMs = median(all.map(({ firstMs }) => firstMs));
        candidate.figures.rebuiltPerSecond =
          candidate.total / median(all.map(({ indexedSeconds }) => indexedSeconds));
      },
      kind => kind.loseIndexes !== undefined,
    );
}
