/** Opens what a power loss left, and compares it with what is known. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isCoded } from '#src/domain/errors.js';
import { verifyBackups } from '#src/engine/backup-verify.js';
import { verifyStore } from '#src/engine/verify.js';
import { WalError } from '#wal/errors.js';
import { hashHex } from '#wal/hash.js';
import type { LevelLog } from '#wal/level-log.js';
import { openLog } from '#wal/open.js';
import { RecordType } from '#wal/record.js';
import { verifyLog } from '#wal/verify.js';
import { openTestEngine, testContext } from '../helpers/engine.js';
import {
  BACKUPS,
  type Content,
  type Knowledge,
  type Named,
  RESTORED,
  STORE,
  type Write,
} from './knowledge.js';

/** What is wrong with a state, by the words that the report counts. */
export type Sin = 'lost' | 'altered' | 'half-done' | 'refused' | 'uncoded' | 'unsound';

export interface Failure {
  readonly sin: Sin;
  readonly what: string;
}

export interface Recording {
  /** Every write in it, and the hash of every record that was ever in its logs. */
  readonly writes: readonly Write[];
  readonly hashes: ReadonlySet<string>;
  /** The records of the log were written by themselves, below the engine. */
  readonly isLogAlone: boolean;
}

export interface Examination {
  readonly failures: readonly Failure[];
  /** Codes of refusals. */
  readonly codes: readonly string[];
}

/** What an opening appends: the genesis of a store whose creation was cut off, an abort, the epoch of a cut that it finished. */
const RECOVERY_TYPES: readonly number[] = [RecordType.genesis, RecordType.abort, RecordType.epoch];

export class Examiner {
  private readonly failures: Failure[] = [];
  private readonly codes: string[] = [];

  private constructor(
    private readonly disk: string,
    private readonly recording: Recording,
    private readonly knowledge: Knowledge,
  ) {}

  /**
   * @param deep also verify the store, open the whole engine and compare every item
   * @param onRecovered called between the first opening, which recovers, and everything else
   */
  static async examine(
    disk: string,
    recording: Recording,
    knowledge: Knowledge,
    deep: boolean,
    onRecovered: () => void = () => {},
  ): Promise<Examination> {
    const examiner = new Examiner(disk, recording, knowledge);
    await examiner.all(deep, onRecovered);
    return { failures: examiner.failures, codes: examiner.codes };
  }

  private async all(deep: boolean, onRecovered: () => void): Promise<void> {
    const { acked, backups, restored } = this.knowledge;
    const store = join(this.disk, STORE);
    if (deep && acked.length > 0 && !this.recording.isLogAlone)
      await this.guarded('verify before the opening', () => this.verify(store, 'before the opening'));
    const hashes = await this.guarded('open', () => this.log(store, acked));
    onRecovered();
    if (hashes !== undefined) {
      await this.guarded('verify', async () => {
        const { findings } = await verifyLog(store);
        for (const { code, message } of findings) this.add('unsound', `${code}: ${message}`);
      });
      if (deep && !this.recording.isLogAlone) await this.guarded('engine', () => this.items(store, hashes));
    }
    if (backups.length > 0) await this.guarded('backups', () => this.backups());
    const target = join(this.disk, RESTORED);
    if (restored !== undefined || existsSync(target))
      await this.guarded('the restored store', async () => {
        await this.log(target, restored === undefined ? [] : [restored]);
      });
  }

  private add(sin: Sin, what: string): void {
    this.failures.push({ sin, what });
  }

  /** A state after a power loss may be refused by nothing: what was acknowledged is to be there. */
  private async guarded<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const isExplained = error instanceof WalError || (isCoded(error) && error.code !== 'INTERNAL');
      if (isExplained) this.codes.push(error.code);
      if (isExplained) this.add('refused', `${what}: ${error.code}: ${error.message}`);
      else this.add('uncoded', `${what}: ${error instanceof Error ? error.stack : String(error)}`);
      return undefined;
    }
  }

  private async verify(store: string, when: string): Promise<void> {
    const { findings } = await verifyStore(store);
    for (const { code, message } of findings) this.add('unsound', `${when}: ${code}: ${message}`);
  }

  /** @returns the hash of each record */
  private async log(storeDir: string, acked: readonly Named[]): Promise<Map<number, string>> {
    const log = await openLog({ storeDir, create: true });
    try {
      return await this.records(log, acked);
    } finally {
      await log.close();
    }
  }

  private async records(log: LevelLog, acked: readonly Named[]): Promise<Map<number, string>> {
    const found = new Map<number, string>();
    let unknown: number | undefined;
    for await (const piece of log.read())
      for (const { seq, hash, type, last } of piece) {
        const name = hashHex(hash);
        found.set(seq, name);
        const isKnown = this.recording.hashes.has(name);
        const isRecovery = RECOVERY_TYPES.includes(type);
        if (!isKnown && !isRecovery) this.add('altered', `record ${seq} (type ${type}) was never written`);
        if (isKnown && unknown !== undefined)
          this.add('altered', `record ${seq} follows record ${unknown}, which was never written`);
        if (!isKnown) unknown = seq;
        if (seq === log.head.seq && !last) this.add('half-done', `the log ends inside a transaction`);
      }
    const lost = acked.filter(({ seq, hash }) => found.get(seq) !== hash);
    if (lost.length > 0)
      this.add(
        'lost',
        `${lost.length} of ${acked.length} acknowledged writes, the first with record ${lost[0]!.seq} of hash ${lost[0]!.hash}; the log ends with ${log.head.seq}`,
      );
    return found;
  }

  private async items(store: string, hashes: ReadonlyMap<number, string>): Promise<void> {
    const written = this.recording.writes.filter(({ seq, hash }) => hashes.get(seq) === hash);
    const expected = new Map<string, Map<string, Content>>();
    for (const { changes = {} } of written.toSorted((a, b) => a.seq - b.seq))
      for (const [collection, items] of Object.entries(changes)) {
        if (!expected.has(collection)) expected.set(collection, new Map());
        for (const [id, content] of Object.entries(items)) expected.get(collection)!.set(id, content);
      }
    const engine = await openTestEngine(store, { create: false });
    try {
      const { collections } = await engine.status({}, testContext);
      for (const { name } of collections) {
        const { items } = await engine.list({ collection: name, limit: 1000 }, testContext);
        const found = new Map(items.map(({ id, text, metadata }) => [id, { text, metadata }]));
        const known = expected.get(name) ?? new Map<string, Content>();
        for (const id of new Set([...found.keys(), ...known.keys()]))
          if (!isDeepStrictEqual(found.get(id), known.get(id) ?? undefined))
            this.add(
              found.has(id) ? 'altered' : 'lost',
              `${name}/${id} is ${JSON.stringify(found.get(id))}, not ${JSON.stringify(known.get(id))}`,
            );
        expected.delete(name);
      }
      for (const [name, known] of expected)
        if ([...known.values()].some(content => content !== null)) this.add('lost', `the collection ${name}`);
    } finally {
      await engine.close();
    }
    await this.verify(store, 'after it');
  }

  private async backups(): Promise<void> {
    const report = await verifyBackups(join(this.disk, BACKUPS));
    for (const { message } of report.findings) this.add('unsound', `backups: ${message}`);
    for (const { id, last } of this.knowledge.backups)
      if (!report.backups.some(backup => backup.id === id && backup.last.hash === last.hash))
        this.add('lost', `the backup ${id}`);
  }
}
