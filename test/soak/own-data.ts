/** What a client of the soak has: its items as it knows them, moments that it can ask for, and chance. */
import { type Content, OwnItems } from './ledger.js';
import type { Tally } from './tally.js';

export const NOTES = 'notes';
/** With vectors given by hand. */
export const POINTS = 'points';
export type CollectionName = typeof NOTES | typeof POINTS;

const IDS = 24;
const DIMENSION = 16;
const WORDS = [
  'harbour',
  'ledger',
  'violet',
  'engine',
  'quarry',
  'willow',
  'copper',
  'lantern',
  'meadow',
  'signal',
];
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
  private revision = 0;
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
    const rev = this.nextRevision();
    const words = Array.from({ length: 4 + this.pick(20) }, () => WORDS[this.pick(WORDS.length)]!);
    return {
      text: `${this.word(rev)} of ${id} ${words.join(' ')}`,
      metadata: { owner: this.name, rev, color: this.color() },
      ...(collection === POINTS && { vector: this.vector() }),
    };
  }

  nextRevision(): number {
    return ++this.revision;
  }

  /** One that no other text has. */
  word(revision: number): string {
    return `unique${this.name}x${revision}`;
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
