import { statSync } from 'node:fs';
import { join } from 'node:path';
import { WalError } from '../errors.js';
import { hashHex } from '../hash.js';
import type { ChainLink } from '../record.js';
import type { ReadingPace } from '../record-file.js';
import { type Backup, SEGMENTS, type Segment } from './manifest.js';
import { endProblem, readSegment } from './segment.js';

/** What reading a segment through came to: its last record, or what is wrong with it. */
type Found = ChainLink | WalError;

/** Reads backups through, without LevelDB; each segment that they share once. */
export class BackupCheck {
  private readonly found = new Map<string, Found>();
  /** Numbers of the records at which backups end. */
  private ends: ReadonlySet<number> = new Set();
  /** Of such records, by the segment's file and their numbers: their hashes as they were read. */
  private readonly hashes = new Map<string, Map<number, string>>();

  /** @param pace waited for while segments are read. Default: as fast as it goes */
  constructor(
    private readonly dir: string,
    private readonly pace?: ReadingPace,
  ) {}

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
    const hashes = new Map<number, string>();
    this.hashes.set(segment.file, hashes);
    try {
      const { seq, hash, logicalMs, txFirst, txIndex, last, long } = await readSegment(
        this.dir,
        segment,
        previous,
        record => {
          if (this.ends.has(record.seq)) hashes.set(record.seq, hashHex(record.hash));
        },
        this.pace,
      );
      // Not the record itself: its body is a view into all that was read with it.
      return { seq, hash, logicalMs, txFirst, txIndex, last, long };
    } catch (error) {
      if (error instanceof WalError) return error;
      throw error;
    }
  }

  /**
   * Whether a backup that was read through since `renew` holds the last record of another one, and so all that this one holds.
   * @param other of no more records
   */
  holds({ manifest: { segments } }: Backup, { manifest: { last } }: Backup): boolean {
    const { file } = segments.find(segment => segment.last.seq >= last.seq)!;
    return this.hashes.get(file)!.get(last.seq) === last.hash;
  }

  /**
   * Makes it look again at what is missing, cut short or was found wrong, and where a backup ends that it did not know of; and forget segments that no
   * backup has: for whoever goes on for long.
   * @param backups all that there are
   */
  renew(backups: readonly Backup[]): void {
    const sizes = new Map(
      backups.flatMap(({ manifest }) => manifest.segments.map(({ file, sizeBytes }) => [file, sizeBytes])),
    );
    this.ends = new Set(backups.map(({ manifest }) => manifest.last.seq));
    for (const [key, found] of this.found) {
      const [{ file, first, last }] = JSON.parse(key) as [Segment];
      const size = statSync(join(this.dir, SEGMENTS, file), { throwIfNoEntry: false })?.size;
      const isWhole = size !== undefined && size === sizes.get(file);
      const isNew = (seq: number) =>
        first.seq <= seq && seq <= last.seq && this.hashes.get(file)?.has(seq) !== true;
      if (found instanceof WalError || !isWhole || [...this.ends].some(isNew)) {
        this.found.delete(key);
        this.hashes.delete(file);
      }
    }
  }
}
