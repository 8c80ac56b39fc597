/**
 * The horizon: contents of versions that died long ago are given up, headers stay. The event that says so comes first; from it on nothing of
 * them is told, however far the erasing has come. Another event ends it; where that is missing, whoever has the store goes on.
 */
import type { GroupCommitLog } from '../../wal/group-commit.js';
import { hashHex } from '../../wal/hash.js';
import type { HorizonAnswer, HorizonCommand } from '../domain/erase.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext, ResolvedMoment } from '../domain/face.js';
import { throwIfCancelled } from './cancelled.js';
import { type ErasingOptions, eraseContents } from './erasing.js';
import { describeSeq, endOf, resolveMoment } from './moments.js';
import type { Projections } from './projections.js';
import type { Reader } from './read.js';
import { Slices } from './slices.js';
import type { Writer } from './write.js';

export interface HorizonOptions {
  readonly log: GroupCommitLog;
  readonly projections: () => Projections;
  readonly reader: Reader;
  readonly writer: Writer;
  /** Aborted, with an error, when the store is about to be closed. */
  readonly ending: AbortSignal;
}

/** The header and the stub of a record that was erased, roughly: what stays of it. */
const STUB_BYTES = 160;

export class Horizon {
  private running: Promise<unknown> | undefined;

  constructor(private readonly options: HorizonOptions) {}

  /**
   * Gives up what died at a moment or before it; by default only tells what that would be.
   * @throws CodedError MOMENT_INVALID, MARK_NOT_FOUND, MOMENT_TOO_LATE, CANCELLED (what is erased by then stays so, and the rest follows); WalError as
   *   every write does, and WAL_BAD_RECORD where a file that holds any of it is damaged
   */
  async move(command: HorizonCommand, context: CallContext): Promise<HorizonAnswer> {
    const { log, projections, writer } = this.options;
    projections().assertUsable();
    const through = this.resolve(command.through, context);
    const { catalog } = projections();
    const dryRun = command.dry_run ?? true;
    const going = through === null ? [] : catalog.beyondHorizon(through.seq);
    const slices = new Slices(context);
    let freedBytes = 0;
    for (const [done, ordinal] of going.entries()) {
      for (const seq of catalog.contentSeqsOf(ordinal))
        freedBytes += Math.max(0, log.get(seq).sizeBytes - STUB_BYTES);
      if (!slices.isOver) continue;
      context.onProgress?.({ done, total: going.length, unit: 'versions', message: 'measuring' });
      await slices.next();
    }
    const kept = through === null ? 0 : catalog.deadThrough(through.seq) - going.length;
    const wholeFromSeq = going.reduce(
      (last, ordinal) => Math.max(last, catalog.diedOf(ordinal)),
      catalog.wholeFrom,
    );
    const counts = { dry_run: dryRun, through, versions: going.length, kept };
    const wholeFrom = this.wholeFrom(wholeFromSeq);
    if (dryRun || through === null || going.length === 0)
      return { ...counts, freed_bytes: freedBytes, whole_from: wholeFrom, ...this.receipt() };
    await writer.transact(() => [{ type: 'history_erased', through: through.seq }], context.actor);
    const freed = await this.erase(context.onProgress, () => throwIfCancelled(context));
    return { ...counts, freed_bytes: freed, whole_from: wholeFrom, ...this.receipt() };
  }

  /** Goes on with what was begun and not finished. @returns false where nothing was */
  async resume(): Promise<boolean> {
    const pending = this.options.projections().catalog.registry.pendingErasures;
    if (!pending.some(({ why }) => why === 'horizon')) return false;
    await this.erase(undefined, () => {});
    return true;
  }

  /** Resolves when nothing is being erased. */
  async stopped(): Promise<void> {
    await this.running?.catch(() => {});
  }

  /** One after the other: the second finds that the first one has done its work as well. @returns the bytes freed */
  private erase(onProgress: ErasingOptions['onProgress'], pause: () => void): Promise<number> {
    const before = this.running?.catch(() => {});
    const work = (async () => {
      await before;
      return this.eraseNow(onProgress, pause);
    })();
    this.running = work;
    work.catch(() => {});
    return work;
  }

  private async eraseNow(onProgress: ErasingOptions['onProgress'], pause: () => void): Promise<number> {
    const { log, projections, writer, ending } = this.options;
    const { catalog } = projections();
    const pending = catalog.registry.pendingErasures.filter(({ why }) => why === 'horizon');
    const { freedBytes } = await eraseContents(log, catalog, 'horizon', {
      onProgress,
      pause: async () => {
        await new Promise(resolve => setImmediate(resolve));
        ending.throwIfAborted();
        pause();
      },
    });
    for (const { seq } of pending)
      await writer.transact(
        () => [{ type: 'erasure_finished', of: seq }],
        catalog.actor(log.get(seq).actor)!,
      );
    return freedBytes;
  }

  /** Null for a moment before the first event. */
  private resolve(text: string, context: CallContext): ResolvedMoment | null {
    const { erasedSpanAt, ...moments } = this.options.reader.momentContext(context);
    try {
      return resolveMoment(text, moments);
    } catch (error) {
      if (error instanceof CodedError && error.code === 'MOMENT_TOO_EARLY') return null;
      throw error;
    }
  }

  /** @param seq the first event that ends a life of which something was erased, or 1 */
  private wholeFrom(seq: number): ResolvedMoment {
    const { log } = this.options;
    return describeSeq(log, seq === 1 ? 1 : endOf(log, seq));
  }

  private receipt(): { seq: number; hash: string } {
    const { head } = this.options.log;
    return { seq: head.seq, hash: hashHex(head.hash) };
  }
}
