import { type Backup, inOrder } from './manifest.js';
import type { Pin } from './pins.js';

/** How many to keep, each the newest of its day, week or month (UTC). */
export interface Retention {
  /** The newest ones, whenever they were made. */
  readonly last: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

/**
 * Why backups are kept, by id, in the order of the rules: `last`, `daily`, `weekly`, `monthly`, `end of epoch <n>`, `pinned[: <reason>]`.
 */
export function reasonsToKeep(
  backups: readonly Backup[],
  { last, daily, weekly, monthly }: Retention,
  pins: ReadonlyMap<string, Pin>,
): Map<string, string[]> {
  const newestFirst = [...backups].sort((a, b) => inOrder(b, a));
  const reasons = new Map<string, string[]>();
  const keep = (id: string, reason: string) => reasons.set(id, [...(reasons.get(id) ?? []), reason]);
  for (const { id } of newestFirst.slice(0, last)) keep(id, 'last');
  const rules = [
    ['daily', daily, dayOf],
    ['weekly', weekly, weekOf],
    ['monthly', monthly, (time: string) => time.slice(0, 7)],
  ] as const;
  for (const [name, count, periodOf] of rules) {
    const seen = new Set<string>();
    for (const { id, manifest } of newestFirst) {
      const period = periodOf(manifest.time);
      if (seen.has(period) || seen.size >= count) continue;
      seen.add(period);
      keep(id, name);
    }
  }
  for (const [epoch, { id }] of endsOfEpochs(backups)) keep(id, `end of epoch ${epoch}`);
  for (const { id } of backups) {
    const pin = pins.get(id);
    if (pin !== undefined) keep(id, wordsOf(pin));
  }
  return reasons;
}

const wordsOf = ({ reason, problem }: Pin): string => {
  if (problem !== undefined) return `pinned (${problem})`;
  return reason === '' ? 'pinned' : `pinned: ${reason}`;
};

/** The last backup of each epoch. */
export const endsOfEpochs = (backups: readonly Backup[]): Map<number, Backup> =>
  new Map([...backups].sort(inOrder).map(backup => [backup.manifest.lineage.epoch, backup]));

const dayOf = (time: string): string => time.slice(0, 10);

/** The Monday that a day's week begins with. */
function weekOf(time: string): string {
  const day = new Date(`${dayOf(time)}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}
