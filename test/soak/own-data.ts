/** What a client of the soak has: its items as it knows them, moments that it can ask for, and chance. */

import { WORDS } from '../helpers/words.js';
import { type Content, OwnItems } from './ledger.js';
import type { Tally } from './tally.js';

export const NOTES = 'notes';
/** With vectors given by hand. */
export const POINTS = 'points';
export type CollectionName = typeof NOTES | typeof POINTS;

const IDS = 24;
const DIMENSION = 16;
const REVISIONS = 8;
export const COLORS = ['red', 'green', 'blue'];
/** Moments that are remembered to be asked for. */
const MOMENTS_KEPT = 40;

export interface OwnDataOptions {
  readonly name: string;
  readonly random: () => number;
  readonly tally: Tally;
  readonly pastMs: number;
  readonly call: <T>(tool: string, args: object) => Promise<T>;
}

export class OwnData {
  readonly items: Readonly<Record<CollectionName, OwnItems>> = {
    [NOTES]: new OwnItems(),
    [POINTS]: new OwnItems(),
  };
  /** The last revision of whatever is revised. */
  private readonly revisions = new Map<string, number>();
  /** Own events, and when they were acknowledged. */
  private moments: { readonly seq: number; readonly ms: number }[] = [];

  constructor(readonly options: OwnDataOptions) {}

  get name(): string {
    return this.options.name;
  }

  call<T>(tool: string, args: object): Promise<T> {
    return this.options.call<T>(tool, args);
  }

  wrong(what: string): void {
    this.options.tally.fail(`${this.name}: ${what}`);
  }

  /** A write was acknowledged up to this event. */
  acknowledged(seq: number, items: number): void {
    this.options.tally.count('items written', items);
    this.moments = [...this.moments, { seq, ms: performance.now() }].slice(-MOMENTS_KEPT);
  }

  /** A moment of the near past at which all of a collection is known. */
  pastSeq(own: OwnItems): number | undefined {
    const sinceMs = performance.now() - this.options.pastMs;
    const moments = this.moments.filter(({ ms, seq }) => ms > sinceMs && own.reachesBackTo(seq));
    return moments[this.pick(moments.length)]?.seq;
  }

  anyLive(collection: CollectionName): [id: string, content: Content, version: number] | undefined {
    const live = this.items[collection].live();
    return live[this.pick(live.length)];
  }

  /** Ids that follow one another, of the few that there are. */
  someIds(count: number): string[] {
    const first = this.pick(IDS);
    return Array.from({ length: count }, (_, at) => `${this.name}-${(first + at) % IDS}`);
  }

  content(collection: CollectionName, id: string): Content {
    const rev = this.nextRevision(`${collection}/${id}`);
    const words = Array.from({ length: 4 + this.pick(20) }, () => WORDS[this.pick(WORDS.length)]!);
    return {
      text: `${this.word(id, rev)} of ${id} ${words.join(' ')}`,
      metadata: { owner: this.name, rev: `${id} ${rev}`, color: this.color() },
      ...(collection === POINTS && { vector: this.vector() }),
    };
  }

  /** From 0 on, and again from there: words and values that never recur would stay in the indexes for the past, so that they grew with the log. */
  nextRevision(what: string): number {
    const next = ((this.revisions.get(what) ?? -1) + 1) % REVISIONS;
    this.revisions.set(what, next);
    return next;
  }

  /** One that no other item has, and that this one did not have just before. */
  word(what: string, revision: number): string {
    return `unique${what.replaceAll(/[^a-z0-9]/g, '')}r${revision}`;
  }

  color(): string {
    return COLORS[this.pick(COLORS.length)]!;
  }

  vector(): number[] {
    return Array.from({ length: DIMENSION }, () => Math.round((this.chance() * 2 - 1) * 1e4) / 1e4);
  }

  chance(): number {
    return this.options.random();
  }

  pick(below: number): number {
    return Math.floor(this.chance() * below);
  }
}
