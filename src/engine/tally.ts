/** Counts changes by time, client, tool and collection, from the catalog's columns alone: no record is read but to find where stretches begin. */
import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { NamedCounts, TallyAnswer, TallyQuery, TallyStretch } from '../domain/tally.js';
import { changeTypeOf, replaces } from './changes.js';
import { spanOf } from './moments.js';
import { Reader } from './read.js';
import { Slices } from './slices.js';

const MAX_BOUNDS = 1001;
const MAX_NAMES = 100;
/** Rows between two looks at the clock. */
const ROWS = 4096;

type Counts = { created: number; updated: number; restored: number; deleted: number };
const nothing = (): Counts => ({ created: 0, updated: 0, restored: 0, deleted: 0 });

/** A stretch while it is counted: by how much the number of items grew in it. */
interface Stretch {
  readonly counts: Counts;
  growth: number;
}

export class TallyReader extends Reader {
  /**
   * Costs a walk over the rows from the first bound to the head, in slices: other calls get their turn.
   * @throws CodedError INVALID_ARGUMENT, CANCELLED, PROJECTION_FAILED
   */
  async tally({ bounds }: TallyQuery, context: CallContext): Promise<TallyAnswer> {
    checkBounds(bounds);
    const { log } = this.options;
    const projections = this.options.projections();
    projections.assertUsable();
    const { catalog } = projections;
    // What is written meanwhile is not counted, so that all figures are of one moment.
    const moment = this.moment();
    const itemsNow = catalog.collections.reduce((sum, { items }) => sum + items, 0);
    const rows = catalog.firstAtOrAfter(moment.seq + 1);
    const deletes = catalog.firstDeleteAtOrAfter(moment.seq + 1);
    const slices = new Slices(context);
    /** The first event at or after each bound; events behind the moment are in no stretch. */
    const firsts: number[] = [];
    for (const bound of bounds) {
      firsts.push(Math.min(spanOf({ sinceMs: bound }, { log }).firstSeq, moment.seq + 1));
      if (slices.isOver) await slices.next();
    }
    const starts = firsts.slice(0, -1);
    const endSeq = firsts.at(-1)! - 1;
    const stretches: Stretch[] = starts.map(() => ({ counts: nothing(), growth: 0 }));
    const byActor = new Map<number, Counts>();
    const byCollection = new Map<number, Counts>();
    let laterGrowth = 0;
    const add = (at: number, type: keyof Counts, ordinal: number, actor: number, growth: number) => {
      const stretch = stretches[at]!;
      stretch.counts[type]++;
      stretch.growth += growth;
      countsOf(byActor, actor)[type]++;
      countsOf(byCollection, catalog.collectionOf(ordinal))[type]++;
    };
    let at = 0;
    for (let ordinal = catalog.firstAtOrAfter(starts[0]!); ordinal < rows; ordinal++) {
      const seq = catalog.seqOf(ordinal);
      const growth = replaces(catalog, ordinal) ? 0 : 1;
      if (seq > endSeq) laterGrowth += growth;
      else {
        while (at + 1 < starts.length && seq >= starts[at + 1]!) at++;
        add(at, changeTypeOf(catalog, ordinal), ordinal, catalog.actorOf(ordinal), growth);
      }
      if (ordinal % ROWS === 0 && slices.isOver) await slices.next();
    }
    at = 0;
    for (let n = catalog.firstDeleteAtOrAfter(starts[0]!); n < deletes; n++) {
      const { seq, ordinal, actor } = catalog.deleteAt(n);
      if (seq > endSeq) laterGrowth--;
      else {
        while (at + 1 < starts.length && seq >= starts[at + 1]!) at++;
        add(at, 'deleted', ordinal, actor, -1);
      }
      if (n % ROWS === 0 && slices.isOver) await slices.next();
    }
    const itemsAtEnd = itemsNow - laterGrowth;
    const itemsBefore = itemsAtEnd - stretches.reduce((sum, { growth }) => sum + growth, 0);
    let items = itemsBefore;
    return {
      stretches: stretches.map(({ counts, growth }, n): TallyStretch => {
        items += growth;
        const events = firsts[n + 1]! - firsts[n]!;
        return { from: iso(bounds[n]!), to: iso(bounds[n + 1]!), ...counts, events, items };
      }),
      before: { items: itemsBefore, events: starts[0]! - 1 },
      ...this.byNames(byActor),
      collections: named(byCollection, id => catalog.collectionById(id)?.name ?? ''),
      moment,
    };
  }

  /** One client has had many sessions, and each of its tools was an actor of its own. */
  private byNames(byActor: ReadonlyMap<number, Counts>): Pick<TallyAnswer, 'clients' | 'tools'> {
    const { catalog } = this.options.projections();
    const actorOf = (seq: number) => catalog.actor(seq);
    return {
      clients: named(byActor, seq => {
        const actor = actorOf(seq);
        return actor === undefined ? '' : `${actor.clientName} ${actor.clientVersion}`.trim();
      }),
      tools: named(byActor, seq => actorOf(seq)?.tool ?? ''),
    };
  }
}

function checkBounds(bounds: readonly number[]): void {
  const isRising = (bound: number, n: number) =>
    Number.isSafeInteger(bound) && Math.abs(bound) <= 8.64e15 && (n === 0 || bound > bounds[n - 1]!);
  if (Array.isArray(bounds) && bounds.length >= 2 && bounds.length <= MAX_BOUNDS && bounds.every(isRising))
    return;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `bounds: wants 2 to ${MAX_BOUNDS} times in ms, each later than the one before`,
    'Give where the first stretch begins and where each one ends.',
  );
}

function countsOf(by: Map<number, Counts>, key: number): Counts {
  let counts = by.get(key);
  if (counts === undefined) {
    counts = nothing();
    by.set(key, counts);
  }
  return counts;
}

/** Those of one name together, the busiest first. */
function named(by: ReadonlyMap<number, Counts>, nameOf: (key: number) => string): NamedCounts[] {
  const found = new Map<string, Counts>();
  for (const [key, counts] of by) {
    const name = nameOf(key);
    const sum = found.get(name) ?? nothing();
    for (const type of Object.keys(sum) as (keyof Counts)[]) sum[type] += counts[type];
    found.set(name, sum);
  }
  const total = ({ created, updated, restored, deleted }: Counts) => created + updated + restored + deleted;
  return [...found]
    .map(([name, counts]) => ({ name, ...counts }))
    .sort((a, b) => total(b) - total(a) || (a.name < b.name ? -1 : 1))
    .slice(0, MAX_NAMES);
}

const iso = (ms: number): string => new Date(ms).toISOString();
