/** What verify may pass over in silence: nothing is ever read from it, or it is what a crash leaves. */
import { type Case, touchedBy } from './cases.js';

/** Ends of the first slot of HEAD and start of the second; what lies between is padding. */
const HEAD_SLOT_END = 128;
const HEAD_SLOT_START = 4096;

/** LevelDB's diaries and locks, and the database whose lock says who owns the store: it is empty, and made anew when off. */
const hasNoMeaning = (file: string) => /^(log\/(LOG|LOG\.old|LOCK)|owner\/.*)$/.test(file);

export function isWithoutMeaning(one: Case): boolean {
  if (touchedBy(one).every(hasNoMeaning)) return true;
  const { file, damage } = one;
  if (file !== 'HEAD') return false;
  // HEAD follows the log within a second: an older one is what a crash leaves, and the log says more than it.
  if (damage.kind === 'older') return true;
  return damage.kind === 'flip' && damage.offset >= HEAD_SLOT_END && damage.offset < HEAD_SLOT_START;
}
