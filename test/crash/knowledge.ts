/** What clients know of a store, and whether it shows just that. */
import type { StatusAnswer } from '#src/domain/face.js';
import type { Findings } from './findings.js';
import type { Folder } from './folder.js';
import { Ledger, type LedgerSnapshot } from './ledger.js';
import { type Caller, searchByMeaning, searchByWord, settle } from './reading.js';
import { COLLECTION, NOTES } from './workload.js';

const SEARCHES = 4;

/** What a store turned out to be. */
export interface Checked {
  /** Calls that were on their way and are there. */
  readonly applied: number;
  /** What became of a cut that was begun, if one was. */
  readonly cut?: 'cut' | 'not cut';
}

/** A moment to which the store may be cut back. */
interface MaybeCut {
  readonly epoch: number;
  readonly head: StatusAnswer['head'];
  readonly ledger: LedgerSnapshot;
  readonly folder: ReturnType<Folder['snapshot']>;
}

export class Knowledge {
  private maybeCut: MaybeCut | undefined;

  constructor(
    readonly folder: Folder,
    readonly ledger = new Ledger(),
  ) {}

  /** The same, for a copy of the store: what is learnt of that one is not known of this one. */
  fork(): Knowledge {
    const fork = new Knowledge(this.folder.fork(), this.ledger.fork());
    fork.maybeCut = this.maybeCut;
    return fork;
  }

  /** From now on the store may be as it is now, without what is written from here on: the next one that opens it says by its epoch. */
  mayBeCut({ store: { epoch }, head }: StatusAnswer): void {
    this.maybeCut = { epoch, head, ledger: this.ledger.snapshot(), folder: this.folder.snapshot() };
  }

  /**
   * Compares what an open store shows with what is known, and takes it for known from then on.
   * @param status what it answered first
   * @param collections to read besides those that were written to
   */
  async check(
    server: Caller,
    status: StatusAnswer,
    {
      findings,
      collections,
      random,
    }: { findings: Findings; collections: readonly string[]; random: () => number },
  ): Promise<Checked> {
    const { ledger, folder } = this;
    const cut = await this.learnOfCut(server, status, findings);
    let applied = 0;
    for (const collection of new Set([...collections, ...ledger.unsettled])) {
      const verdict = await settle(server, ledger, collection);
      findings.lost.push(...verdict.lost);
      findings.altered.push(...verdict.altered);
      findings.halfDone.push(...verdict.halfDone);
      applied += verdict.applied;
    }
    findings.halfDone.push(...(await folder.check(server)));
    const ids = ledger.ids(COLLECTION);
    const some =
      ids.length === 0 ? [] : Array.from({ length: SEARCHES }, () => ids[Math.floor(random() * ids.length)]!);
    findings.unexpected.push(...(await searchByWord(server, ledger, COLLECTION, some)));
    findings.unexpected.push(...(await searchByMeaning(server, ledger, NOTES)));
    return { applied, ...(cut && { cut }) };
  }

  /** A cut that was begun is finished by now, or there was none. */
  private async learnOfCut(
    server: Caller,
    { store: { epoch } }: StatusAnswer,
    findings: Findings,
  ): Promise<Checked['cut']> {
    const { maybeCut } = this;
    if (maybeCut === undefined) return undefined;
    this.maybeCut = undefined;
    if (epoch === maybeCut.epoch) return 'not cut';
    this.ledger.goBackTo(maybeCut.ledger);
    this.folder.goBackTo(maybeCut.folder);
    const { seq, hash } = maybeCut.head;
    const { head } = await server.call<StatusAnswer>('vector_status', { as_of: String(seq) });
    if (head.hash !== hash)
      findings.lost.push(`event ${seq} had hash ${hash}, and has ${head.hash} after the cut`);
    return 'cut';
  }
}
