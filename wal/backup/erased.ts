/**
 * Backups and erasure. An erased payload leaves its record's hash as it was, so a backup that was made before goes on holding it, and later ones that share
 * its segments do so too. Only what is written anew has the erased form.
 */
import type { Backup, Segment } from './manifest.js';
import { erasedIn } from './segment.js';

/** Payloads that no other backup holds any more. */
export interface Loss {
  /** The backup that holds them. */
  readonly id: string;
  /** How many records they are of, the first of them and the last. */
  readonly records: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/** Where payloads are erased in the segments of a directory; each segment is read once, and only where its manifest does not say that it has none. */
export class Erasures {
  private readonly found = new Map<string, readonly number[]>();

  constructor(private readonly dir: string) {}

  /** Numbers of records whose payload is erased, in order. @throws WalError BACKUP_DAMAGED */
  async in(segment: Segment): Promise<readonly number[]> {
    const found = this.found.get(segment.file) ?? (await erasedIn(this.dir, segment));
    this.found.set(segment.file, found);
    return found;
  }

  /**
   * The payloads that would go with a backup, though others have its records.
   * @param others that have all of its records
   * @returns undefined where there are none
   * @throws WalError BACKUP_DAMAGED
   */
  async payloadsOnlyIn({ id, manifest }: Backup, others: readonly Backup[]): Promise<Loss | undefined> {
    const own = await this.upTo(manifest.last.seq, manifest.segments);
    const files = new Set(manifest.segments.map(({ file }) => file));
    let seqs: number[] | undefined;
    for (const other of others) {
      const differing = other.manifest.segments.filter(({ file }) => !files.has(file));
      const erased = await this.upTo(manifest.last.seq, differing);
      seqs = [...(seqs ?? erased)].filter(seq => erased.has(seq) && !own.has(seq));
      if (seqs.length === 0) return undefined;
    }
    return { id, records: seqs!.length, firstSeq: seqs![0]!, lastSeq: seqs!.at(-1)! };
  }

  /** In order, as segments and the records in them are. */
  private async upTo(lastSeq: number, segments: readonly Segment[]): Promise<Set<number>> {
    const found = new Set<number>();
    for (const segment of segments)
      if (segment.first.seq <= lastSeq)
        for (const seq of await this.in(segment)) if (seq <= lastSeq) found.add(seq);
    return found;
  }
}
