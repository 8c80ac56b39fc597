/** What the figures of a disk mean for this program. */
import type { DiskProfile } from './disk-probe.js';

const MIB = 1024 * 1024;

export interface DiskVerdict {
  readonly level: 'ok' | 'warn' | 'unsafe';
  readonly about: 'kind' | 'fsync' | 'read' | 'space';
  readonly message: string;
}

/** Flushes that nobody notices; that a person waits for; that make a server useless. */
const FSYNC_GOOD_MS = 5;
const FSYNC_BAD_MS = 50;
/** A search reads up to ten texts, one after the other. */
const READ_GOOD_MS = 2;

/** Compares with what the program needs. */
export function judge({
  kind,
  fsync,
  random_read: read,
  free_bytes: freeBytes,
}: Omit<DiskProfile, 'verdicts'>): DiskVerdict[] {
  const verdicts: DiskVerdict[] = [];
  const say = (level: DiskVerdict['level'], about: DiskVerdict['about'], message: string) =>
    verdicts.push({ level, about, message });
  if (kind.is_network)
    say(
      'unsafe',
      'kind',
      `${kind.file_system} is a network mount: locks and flushes of such cannot be relied upon. Keep the store on a disk of this machine, and reach it over HTTP (serve).`,
    );
  else if (kind.is_memory)
    say(
      'unsafe',
      'kind',
      `${kind.file_system} is memory: the store is gone when the machine stops. Keep it on a disk.`,
    );
  else if (kind.rotational === true)
    say(
      'warn',
      'kind',
      'a disk with moving parts: first searches after a start wait for it. An SSD is what helps.',
    );
  else
    say(
      'ok',
      'kind',
      `${kind.file_system}, ${kind.rotational === false ? 'no moving parts' : 'the system does not tell what is below'}`,
    );
  const writes = Math.max(1, Math.round(1000 / Math.max(fsync.p50_ms, 0.001)));
  if (fsync.p50_ms <= FSYNC_GOOD_MS)
    say(
      'ok',
      'fsync',
      `some ${writes} single writes a second. VECTOR_DURABILITY=strict takes a second flush each, ${(2 * fsync.p50_ms).toFixed(1)} ms in all: affordable; interval is the default.`,
    );
  else
    say(
      'warn',
      'fsync',
      `only some ${writes} single writes a second: leave VECTOR_DURABILITY at interval, since strict would halve that, and write many items a call.`,
    );
  if (fsync.p99_ms > FSYNC_BAD_MS)
    say(
      'warn',
      'fsync',
      `one flush in a hundred takes over ${Math.floor(fsync.p99_ms)} ms: something else writes to this disk, or it is shared.`,
    );
  if (fsync.p50_ms < 0.02 && !kind.is_memory)
    say(
      'warn',
      'fsync',
      'flushes take next to no time: the disk, or the machine below a virtual one, may acknowledge what is not on it yet.',
    );
  if (read.p50_ms <= READ_GOOD_MS)
    say(
      'ok',
      'read',
      `ten texts of a search come in some ${(10 * read.p50_ms).toFixed(1)} ms${read.is_cached ? ' from the cache of files' : ' when they are not cached'}.`,
    );
  else
    say(
      'warn',
      'read',
      `ten texts of a search take some ${(10 * read.p50_ms).toFixed(0)} ms when they are not cached: more memory keeps them there.`,
    );
  if (freeBytes < 1024 * MIB) say('warn', 'space', `${Math.floor(freeBytes / MIB)} MiB are free.`);
  return verdicts;
}
