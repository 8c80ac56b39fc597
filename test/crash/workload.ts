/**
 * Concurrent writers: single upserts, batches, changes of metadata, deletes, and a few ids that all of them write. Each
 * writes its own ids one call at a time, so that what an id may hold is known at any instant.
 */
import type { DeleteAnswer, UpsertAnswer, UpsertItem } from '#src/domain/face.js';
import type { Metadata } from '#src/domain/model.js';
import { type McpProcess, ToolError, Unanswered } from '../helpers/mcp-process.js';
import { WORDS } from '../helpers/words.js';
import type { Content, Ledger, Operation } from './ledger.js';

export const DIMENSION = 16;
const IDS_PER_WRITER = 12;
const HOT_IDS = 3;

export const COLLECTION = 'stream';
/** A bulk group is a collection of its own, so that one that was not written needs no reading. */
export const bulkCollection = (group: number): string => `bulk-${group}`;
const BULK_ITEMS = 1000;
/** Written by the embedder, without a vector of the client's. */
export const NOTES = 'notes';

export interface WorkloadOptions {
  readonly server: McpProcess;
  readonly ledger: Ledger;
  readonly random: () => number;
  /** Error codes that an answer may carry; every other one is put on `unexpected`. */
  readonly allowedCodes: readonly string[];
}

export class Workload {
  private static count = 0;
  private stopped = false;
  readonly unexpected: string[] = [];

  constructor(private readonly options: WorkloadOptions) {}

  stop(): void {
    this.stopped = true;
  }

  /** Writes until it is stopped, the server ends, or an answer is an error. */
  async write(writer: number): Promise<void> {
    while (!this.stopped && (await this.step(writer)));
  }

  /** Writes whole groups of a thousand items, so that a checkpoint falls due, in the order given. */
  async writeBulk(groups: readonly number[]): Promise<void> {
    for (const group of groups) {
      const revision = ++Workload.count;
      const items = Array.from({ length: BULK_ITEMS }, (_, at) => ({
        id: `item-${at}`,
        text: `revision ${revision} of ${at}`,
        metadata: { revision },
        vector: this.vector(),
      }));
      if (this.stopped || !(await this.upsert(bulkCollection(group), items))) return;
    }
  }

  /** Texts without vectors: the server embeds them. */
  async writeNotes(): Promise<void> {
    while (!this.stopped) {
      const id = `note-${this.pick(IDS_PER_WRITER)}`;
      if (!(await this.upsert(NOTES, [{ id, text: this.text(), metadata: { revision: Workload.count } }])))
        return;
    }
  }

  private async step(writer: number): Promise<boolean> {
    const dice = this.options.random();
    const own = (count: number) => {
      const first = this.pick(IDS_PER_WRITER);
      return Array.from({ length: count }, (_, at) => `w${writer}-${(first + at) % IDS_PER_WRITER}`);
    };
    if (dice < 0.45)
      return this.upsert(
        COLLECTION,
        own(1).map(id => this.item(id)),
      );
    if (dice < 0.65)
      return this.upsert(
        COLLECTION,
        own(2 + this.pick(5)).map(id => this.item(id)),
      );
    if (dice < 0.8 && this.hasItems()) return this.delete(COLLECTION, own(1 + this.pick(3)));
    if (dice < 0.93)
      return this.upsert(
        COLLECTION,
        own(1 + this.pick(2)).map(id => this.annotation(id)),
      );
    return this.upsert(COLLECTION, [
      { id: `hot-${this.pick(HOT_IDS)}`, text: this.text(), vector: this.vector() },
    ]);
  }

  /** The collection is made by the first write into it, and gone again after a cut behind that. */
  private hasItems(): boolean {
    const { ledger } = this.options;
    return ledger.ids(COLLECTION).some(id => ledger.known(COLLECTION, id).content !== undefined);
  }

  private item(id: string): UpsertItem {
    // A null takes a key away: what is merged is part of what must survive.
    const metadata: Metadata = {
      revision: ++Workload.count,
      tag: this.pick(2) === 0 ? null : `t${this.pick(5)}`,
    };
    return { id, text: this.text(), metadata, vector: this.vector() };
  }

  /** Changes the metadata alone; an item that is not there is written whole. */
  private annotation(id: string): UpsertItem {
    const { content } = this.options.ledger.known(COLLECTION, id);
    return content === undefined ? this.item(id) : { id, metadata: { seen: ++Workload.count } };
  }

  /** A word of its own makes each text findable; some are long, so that records span LevelDB's blocks. */
  private text(): string {
    const words = 3 + this.pick(40) + (this.pick(12) === 0 ? 900 : 0);
    const rest = Array.from({ length: words }, () => WORDS[this.pick(WORDS.length)]!).join(' ');
    return `unique${++Workload.count} ${rest}`;
  }

  private vector(): number[] {
    return Array.from({ length: DIMENSION }, () => Math.round((this.options.random() * 2 - 1) * 1e4) / 1e4);
  }

  private pick(below: number): number {
    return Math.floor(this.options.random() * below);
  }

  private upsert(collection: string, items: readonly UpsertItem[]): Promise<boolean> {
    const { ledger } = this.options;
    const changes = new Map<string, Content>(
      items.map(({ id, text, metadata }) => {
        const { content } = ledger.known(collection, id!);
        return [
          id!,
          { text: text ?? content!.text, metadata: merged(content?.metadata ?? {}, metadata ?? {}) },
        ];
      }),
    );
    return this.attempt({ collection, changes }, async () => {
      const answer = await this.options.server.call<UpsertAnswer>('vector_upsert', { collection, items });
      const versions = new Map(answer.items.map(({ id, version }) => [id, version]));
      return id => versions.get(id)!;
    });
  }

  private delete(collection: string, ids: readonly string[]): Promise<boolean> {
    const changes = new Map<string, Content>(ids.map(id => [id, undefined]));
    return this.attempt({ collection, changes }, async () => {
      const answer = await this.options.server.call<DeleteAnswer>('vector_delete', { collection, ids });
      return () => answer.seq;
    });
  }

  /** @returns whether to go on: a server that is gone, or that refused, ends this writer */
  private async attempt(operation: Operation, call: () => Promise<(id: string) => number>): Promise<boolean> {
    const { ledger, allowedCodes } = this.options;
    ledger.begin(operation);
    try {
      ledger.acknowledge(operation, await call());
      return true;
    } catch (error) {
      if (error instanceof Unanswered) return false;
      if (!(error instanceof ToolError)) this.unexpected.push(String(error));
      else {
        // The outcome is open: whatever is found later is right, as with a call that was cut off.
        if (error.code !== 'WAL_OUTCOME_UNKNOWN') ledger.refuse(operation);
        if (!allowedCodes.includes(error.code)) this.unexpected.push(error.text);
      }
      return false;
    }
  }
}

function merged(current: Metadata, change: Metadata): Metadata {
  return Object.fromEntries(Object.entries({ ...current, ...change }).filter(([, value]) => value !== null));
}
