import { Level } from '#wal/level.js';

type Opening = (this: { readonly location: string }, options: unknown) => Promise<void>;

/**
 * Does something to the files of a database right before LevelDB opens them, once: a disk that gives other bytes than a moment ago, or
 * none.
 * @param isMeant by the directory
 * @param change given the directory
 */
export async function beforeLevelDbOpens<T>(
  isMeant: (dir: string) => boolean,
  change: (dir: string) => unknown,
  work: () => Promise<T>,
): Promise<T> {
  const prototype = Level.prototype as unknown as { _open: Opening };
  const own = prototype._open;
  let isDone = false;
  prototype._open = async function (options) {
    if (!isDone && isMeant(this.location)) {
      isDone = true;
      await change(this.location);
    }
    return own.call(this, options);
  };
  try {
    const result = await work();
    if (!isDone) throw new Error('no such database was opened');
    return result;
  } finally {
    prototype._open = own;
  }
}
