import { statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { hashHex } from '../hash.js';
import type { ChainLink } from '../record.js';
import { type Backup, SEGMENTS, type Segment } from './manifest.js';
import { endProblem, readSegment } from './segment.js';

/** What reading a segment through came to: its last record, or what is wrong with it. */
type Found = ChainLink | WalError;

/** Reads backups through, without LevelDB; each segment that they share once. */
export class BackupCheck {
  private found = new Map<string, Found>();

  constructor(private readonly dir: string) {}

  /**
   * @param onSegment told of each segment that was read
   * @returns the first thing that is wrong, and with which segment; undefined where the backup is sound
   */
  async problemOf(
    { manifest }: Backup,
    onSegment: (segment: Segment) => void = () => {},
  ): Promise<WalError | undefined> {
    let previous: ChainLink | undefined;
    for (const segment of manifest.segments) {
      const key = JSON.stringify([segment, previous && hashHex(previous.hash)]);
      let found = this.found.get(key);
      if (found === undefined) {
        found = await this.read(segment, previous);
        this.found.set(key, found);
        onSegment(segment);
      }
      if (found instanceof WalError) return found;
      previous = found;
    }
    return endProblem(manifest, previous?.seq);
  }

  private async read(segment: Segment, previous: ChainLink | undefined): Promise<Found> {
    try {
      const { seq, hash, logicalMs, txFirst, txIndex, last, long } = await readSegment(
        this.dir,
        segment,
        previous,
      );
      // Not the record itself: its body is a view into all that was read with it.
      return { seq, hash, logicalMs, txFirst, txIndex, last, long };
    } catch (error) {
      if (error instanceof WalError) return error;
      throw error;
    }
  }

  /** Makes it look again at what is missing, cut short or was found wrong, and forget segments that no backup has: for whoever goes on for long. */
  renew(backups: readonly Backup[]): void {
    const sizes = new Map(
      backups.flatMap(({ manifest }) => manifest.segments.map(({ file, sizeBytes }) => [file, sizeBytes])),
    );
    for (const [key, found] of this.found) {
      const [{ file }] = JSON.parse(key) as [Segment];
      const size = statSync(join(this.dir, SEGMENTS, file), { throwIfNoEntry: false })?.size;
      if (found instanceof WalError || size === undefined || size !== sizes.get(file)) this.found.delete(key);
    }
  }
}
