import { existsSync, readlinkSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';
import { basename } from 'node:path';

/** Nice levels: a busy machine still gives such a thread about a tenth of what it gives others, so it gets on. */
const NICENESS = 10;

/** proc(5): a link to <pid>/task/<tid> of whoever reads it. Linux alone has priorities by thread. */
const SELF = '/proc/thread-self';
const canGiveWay = existsSync(SELF);

/** How many threads may work in the background: as many as there are cores, but one less where they cannot give way to the event loop's. */
export const backgroundThreads = (): number => Math.max(1, availableParallelism() - (canGiveWay ? 0 : 1));

/**
 * Lets the calling thread, and those that it starts, run behind the others of the process: an acknowledgement waits for threads of LevelDB and of
 * Node. Nothing is done where threads have no priorities.
 */
export function giveWay(): void {
  if (canGiveWay) setPriority(Number(basename(readlinkSync(SELF))), NICENESS);
}
