/** Which backups a retention keeps, by their manifests alone. */
import { describe, expect, test } from 'vitest';
import { type Backup, inOrder, newestBackup } from '#wal/backup/manifest.js';
import { endsOfEpochs, type Retention, reasonsToKeep } from '#wal/backup/retention.js';

const NONE: Retention = { last: 0, daily: 0, weekly: 0, monthly: 0 };

/** Backups of one more record each, made at these times; each by its time. */
const madeAt = (...times: string[]): Backup[] => times.map((time, i) => backup(time, 1, i + 1));

const backup = (time: string, epoch: number, seq: number): Backup =>
  ({ id: time, manifest: { time, lineage: { epoch }, last: { seq } } }) as Backup;

/** Those that are kept, but for the end of the epoch, oldest first. */
function kept(backups: readonly Backup[], retention: Partial<Retention>, reason: string): string[] {
  const reasons = reasonsToKeep(backups, { ...NONE, ...retention }, new Map());
  return backups.filter(({ id }) => reasons.get(id)?.includes(reason)).map(({ id }) => id);
}

describe('a retention keeps', () => {
  test('so many of the newest, whenever they were made', () => {
    const times = ['2026-01-04T00:00:00.000Z', '2026-01-01T00:00:00.000Z', '2026-01-03T00:00:00.000Z'];
    for (const last of [0, 1, 2, 3, 4])
      expect(kept(madeAt(...times), { last }, 'last')).toEqual(times.slice(Math.max(0, 3 - last)));
  });

  test('the newest of so many days, in which one was made', () => {
    const times = [
      '2026-01-01T00:00:00.000Z',
      '2026-01-01T23:59:59.999Z',
      '2026-01-02T00:00:00.000Z',
      '2026-01-07T12:00:00.000Z',
      '2026-01-07T13:00:00.000Z',
    ];
    const days = [times[1], times[2], times[4]];
    for (const daily of [0, 1, 2, 3, 4])
      expect(kept(madeAt(...times), { daily }, 'daily')).toEqual(days.slice(Math.max(0, 3 - daily)));
  });

  test('the newest of so many weeks, which begin on Monday, also across years', () => {
    const times = [
      // Sunday, Monday, and the Sunday of that week; the next Monday.
      '2025-12-28T23:59:59.999Z',
      '2025-12-29T00:00:00.000Z',
      '2026-01-04T23:59:59.999Z',
      '2026-01-05T00:00:00.000Z',
    ];
    const weeks = [times[0], times[2], times[3]];
    for (const weekly of [0, 1, 2, 3, 4])
      expect(kept(madeAt(...times), { weekly }, 'weekly')).toEqual(weeks.slice(Math.max(0, 3 - weekly)));
    // Each day of a week falls to its Monday.
    for (let day = 5; day <= 11; day++) {
      const two = madeAt('2026-01-04T12:00:00.000Z', `2026-01-${String(day).padStart(2, '0')}T12:00:00.000Z`);
      expect(kept(two, { weekly: 9 }, 'weekly')).toEqual(two.map(({ id }) => id));
      const same = madeAt(
        '2026-01-05T00:00:00.000Z',
        `2026-01-${String(day).padStart(2, '0')}T12:00:00.000Z`,
      );
      expect(kept(same, { weekly: 9 }, 'weekly')).toEqual([same[1]!.id]);
    }
  });

  test('the newest of so many months', () => {
    const times = [
      '2025-12-31T23:59:59.999Z',
      '2026-01-01T00:00:00.000Z',
      '2026-01-31T23:59:59.999Z',
      '2026-12-01T00:00:00.000Z',
    ];
    const months = [times[0], times[2], times[3]];
    for (const monthly of [0, 1, 2, 3, 4])
      expect(kept(madeAt(...times), { monthly }, 'monthly')).toEqual(months.slice(Math.max(0, 3 - monthly)));
  });

  test('the last of each epoch and what is pinned, and says all reasons in the order of the rules', () => {
    const backups = [
      backup('2026-01-01T00:00:00.000Z', 1, 5),
      backup('2026-01-02T00:00:00.000Z', 1, 9),
      backup('2026-01-03T00:00:00.000Z', 2, 7),
      backup('2026-01-04T00:00:00.000Z', 2, 8),
      backup('2026-01-05T00:00:00.000Z', 2, 8),
    ];
    const ids = backups.map(({ id }) => id);
    for (const given of [backups, backups.toReversed()]) {
      expect(newestBackup(given)!.id).toBe(ids[4]);
      expect([...given].sort(inOrder).map(({ id }) => id)).toEqual(ids);
      expect([...endsOfEpochs(given)].map(([epoch, { id }]) => [epoch, id])).toEqual([
        [1, ids[1]],
        [2, ids[4]],
      ]);
      const pins = new Map([
        [ids[0]!, { id: ids[0]!, reason: '' }],
        [ids[2]!, { id: ids[2]!, reason: 'why' }],
        [ids[4]!, { id: ids[4]!, reason: '', problem: 'broken' }],
        ['gone', { id: 'gone', reason: '' }],
      ]);
      const reasons = reasonsToKeep(given, { last: 1, daily: 1, weekly: 1, monthly: 1 }, pins);
      expect(Object.fromEntries(reasons)).toEqual({
        [ids[0]!]: ['pinned'],
        [ids[1]!]: ['end of epoch 1'],
        [ids[2]!]: ['pinned: why'],
        [ids[4]!]: ['last', 'daily', 'weekly', 'monthly', 'end of epoch 2', 'pinned (broken)'],
      });
    }
  });
});
