/** What a report advises: a sentence for each thing that somebody should do. */
import { SEARCH_STAGES, type SearchStage } from '../domain/profile.js';
import type { Report } from './report.js';

const DAY_MS = 86_400_000;
/** The share of the machine's memory from which the guide wants it looked at. */
export const MEMORY_ADVICE_PERCENT = 70;
const DISK_ADVICE_PERCENT = 85;
const VERIFY_DAYS = 8;
const BACKUP_DAYS = 2;

const STAGES: Readonly<Record<SearchStage, string>> = {
  embed: 'in making the vector of the query: look at the embedder, its machine and network',
  vectors: 'among the vectors: fewer collections at a time, or a filter, make less of them',
  words: 'in waiting for the words of what was just written',
  keywords: 'among the words',
  fusion: 'in ordering what was found: a lower k',
  filter: 'in filters: fewer conditions, or a collection of its own for what is asked for often',
  fetch: 'in reading the results: a lower k, or a faster disk',
};

type Facts = Omit<Report, 'advice'>;

/** @param nowMs to which ages count */
export function adviceOf(facts: Facts, nowMs: number): string[] {
  const { store, memory, disk, slow, verification, backup, errors, warnings } = facts;
  const advice: string[] = [];
  if (store.state !== 'ok')
    advice.push(
      'The store takes no writes: look into the log, mend what is named there, and restart the server.',
    );
  if (verification.findings.length > 0)
    advice.push(
      'The verification found something: run `mcp-vector-server verify`, and see docs/verify.md for each finding.',
    );
  const percent = Math.max(memory?.percent ?? 0, memory?.highest_percent ?? 0);
  if (percent >= MEMORY_ADVICE_PERCENT)
    advice.push(
      `Consider memory optimization: the server takes ${percent} % of the machine's memory. Restart it, give up old history (\`horizon\`), move collections to a store of their own, or add memory.`,
    );
  if (disk.used_percent >= DISK_ADVICE_PERCENT)
    advice.push(
      `The disk is ${disk.used_percent} % full: make room, give up old history (\`horizon\`), or move the store to a larger disk.`,
    );
  const slowest = slow.error + slow.gave_up;
  if (slowest + slow.warn > 0) {
    const stage = slowestStage(facts);
    advice.push(
      `${slow.warn + slowest} searches were slow, ${slowest} of them very slow or given up${stage === undefined ? '' : `; most of their time went by ${STAGES[stage]}`}.`,
    );
  }
  const verifiedMs = verification.completed === undefined ? 0 : Date.parse(verification.completed);
  if (nowMs - verifiedMs > VERIFY_DAYS * DAY_MS)
    advice.push(
      `The log was ${verifiedMs === 0 ? 'never verified whole' : `last verified whole at ${verification.completed}`}: ${
        verification.schedule === 'off' ? 'set VECTOR_VERIFY_SCHEDULE, or run' : 'run'
      } \`mcp-vector-server verify\`.`,
    );
  if (backup === undefined) advice.push('No backups were looked at: name their directory with --backups.');
  else if (backup.newest === undefined || nowMs - Date.parse(backup.newest.time) > BACKUP_DAYS * DAY_MS)
    advice.push(
      `${backup.newest === undefined ? 'There is no backup' : `The newest backup is of ${backup.newest.time}`}: run \`mcp-vector-server backup --to\` with the directory, and do so every day.`,
    );
  if (backup !== undefined && backup.damaged > 0)
    advice.push(`${backup.damaged} backups cannot be read: run \`mcp-vector-server backup verify\`.`);
  if (errors.length > 0)
    advice.push(
      `Calls failed, most often with ${errors[0]!.code}: docs/errors.md has the way out of each code.`,
    );
  if (warnings.length > 0)
    advice.push('The server has warnings (below): they say what to do, or docs/repair.md does.');
  return advice;
}

/** Where most of the time of the slowest searches went. */
function slowestStage({ slow }: Facts): SearchStage | undefined {
  const sums = new Map<SearchStage, number>();
  for (const { timings } of slow.slowest)
    for (const stage of SEARCH_STAGES) sums.set(stage, (sums.get(stage) ?? 0) + (timings?.[stage] ?? 0));
  const [most] = [...sums].sort(([, a], [, b]) => b - a);
  return most !== undefined && most[1] > 0 ? most[0] : undefined;
}
