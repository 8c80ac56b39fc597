/**
 * How much was written when, and by whom. Kept as one row for each minute, actor and collection, and taken further from the catalog's
 * columns at each call: no record of the log is read for it, and what was counted once is not counted again.
 */
import type { ActivityAnswer, ActivityQuery, SessionActivity } from '../domain/activity.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext, ResolvedMoment } from '../domain/face.js';
import type { Actor } from '../domain/model.js';
import { Columns } from '../projections/columns.js';
import { lowerBound } from '../projections/lower-bound.js';
import { describeSeq, resolveBounds, spanOf } from './moments.js';
import { Reader } from './read.js';
import { Slices } from './slices.js';
import { idsWithin } from './within.js';

const MINUTE_MS = 60_000;
const HOUR = 60;
const DAY = 24 * HOUR;
/** Lengths of a step that people count in, in minutes; beyond them whole weeks. */
const STEPS_MIN = [1, 5, 15, HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY] as const;
const DEFAULT_STEPS = 300;
/** Rows between two looks at the clock. */
const ROWS_A_LOOK = 4096;

const NOTHING = {
  step_ms: MINUTE_MS,
  series: [],
  steps: [],
  events: 0,
  sessions: [],
  more_sessions: false,
} as const;

/** Rows that have been counted, and how far. */
interface Counted {
  version: number;
  deleted: number;
  milestone: number;
}

/** Rows of one minute by actor and collection, so that the next event finds its row. */
interface Minute {
  minute: number;
  readonly rows: Map<string, number>;
}

export class ActivityReader extends Reader {
  private readonly rows = new Columns(['minute', 'actor', 'collection', 'events', 'firstSeq', 'lastSeq']);
  private readonly next: Counted = { version: 0, deleted: 0, milestone: 0 };
  private open: Minute = { minute: -1, rows: new Map() };
  private counted: Promise<void> = Promise.resolve();

  /**
   * What was written in a span, by client and tool in steps of time, and by which sessions.
   * @throws CodedError INVALID_ARGUMENT, CANCELLED, and as resolveBounds does
   */
  async activity(query: ActivityQuery, context: CallContext): Promise<ActivityAnswer> {
    const { steps = DEFAULT_STEPS, sessions = 0 } = query;
    checkCount('steps', steps, 1, 2000);
    checkCount('sessions', sessions, 0, 200);
    const { log } = this.options;
    const moment = this.moment();
    const slices = new Slices(context);
    // One after the other: whoever comes while it is counted goes on from there, and finds little left.
    this.counted = this.counted.catch(() => undefined).then(() => this.count(moment.seq));
    await this.counted;
    if (moment.seq < 1) return { moment, ...NOTHING };
    const moments = this.momentContext(context);
    const span = spanOf(resolveBounds(query.since, query.until, moments), moments);
    const begin = describeSeq(log, 1);
    if (span.lastSeq < span.firstSeq) return { begin, moment, ...NOTHING };
    const minuteOf = (seq: number) => Math.floor(log.get(seq).logicalMs / MINUTE_MS);
    const bounds = { from: minuteOf(span.firstSeq), through: minuteOf(span.lastSeq) };
    const within = idsWithin(this.options.projections(), query.within);
    const tally = new Tally(stepOf(bounds.through - bounds.from + 1, steps), seq => this.actor(seq));
    const { at } = this.rows;
    for (let row = lowerBound(at.minute, this.rows.rows, bounds.from); row < this.rows.rows; row++) {
      if (at.minute[row]! > bounds.through) break;
      const collection = at.collection[row]!;
      if (within !== undefined && collection !== 0 && !within.has(collection)) continue;
      tally.add(
        at.minute[row]!,
        at.actor[row]!,
        collection,
        at.events[row]!,
        at.firstSeq[row]!,
        at.lastSeq[row]!,
      );
      if (row % ROWS_A_LOOK === 0 && slices.isOver) await slices.next();
    }
    const listed = tally.sessionsLatestFirst();
    return {
      begin,
      moment,
      step_ms: tally.stepMin * MINUTE_MS,
      series: tally.series,
      steps: tally.steps,
      events: tally.events,
      sessions: listed.slice(0, sessions).map(found => this.session(found)),
      more_sessions: listed.length > sessions,
    };
  }

  private actor(seq: number): Actor | undefined {
    return this.options.projections().catalog.actor(seq);
  }

  private session({
    actor,
    clients,
    tools,
    collections,
    events,
    firstSeq,
    lastSeq,
  }: FoundSession): SessionActivity {
    const { registry } = this.options.projections().catalog;
    return {
      session: actor.session,
      source: actor.sessionSource,
      project: actor.project,
      clients: [...clients],
      tools: [...tools],
      collections: [...collections].flatMap(id => registry.collectionById(id)?.name ?? []),
      events,
      first: this.described(firstSeq),
      last: this.described(lastSeq),
    };
  }

  private described(seq: number): ResolvedMoment {
    return describeSeq(this.options.log, seq);
  }

  /** Takes the rows further, up to an event, in the order of the log. */
  private async count(throughSeq: number): Promise<void> {
    const projections = this.options.projections();
    projections.assertUsable();
    const { catalog } = projections;
    const { milestones } = catalog.registry;
    const { next } = this;
    let startedMs = performance.now();
    for (let n = 1; ; n++) {
      const version = next.version < catalog.size ? catalog.seqOf(next.version) : Number.POSITIVE_INFINITY;
      const deleted = next.deleted < catalog.deleteCount ? catalog.deleteAt(next.deleted) : undefined;
      const milestone = milestones[next.milestone];
      const seq = Math.min(version, deleted?.seq ?? version, milestone?.seq ?? version);
      if (!(seq <= throughSeq)) return;
      if (seq === version) {
        const ordinal = next.version++;
        this.note(seq, catalog.timeOf(ordinal), catalog.actorOf(ordinal), catalog.collectionOf(ordinal));
      } else if (deleted?.seq === seq) {
        next.deleted++;
        this.note(seq, deleted.timeMs, deleted.actor, catalog.collectionOf(deleted.ordinal));
      } else {
        next.milestone++;
        this.note(seq, milestone!.timeMs, milestone!.actor, milestone!.collection ?? 0);
      }
      if (n % ROWS_A_LOOK === 0 && performance.now() - startedMs > 8) {
        await new Promise(resolve => setImmediate(resolve));
        startedMs = performance.now();
      }
    }
  }

  private note(seq: number, timeMs: number, actor: number, collection: number): void {
    const minute = Math.floor(timeMs / MINUTE_MS);
    // Logical time never runs backwards, so the rows are in its order.
    if (minute !== this.open.minute) this.open = { minute, rows: new Map() };
    const key = `${actor}/${collection}`;
    const { rows } = this;
    let row = this.open.rows.get(key);
    if (row === undefined) {
      row = rows.append();
      this.open.rows.set(key, row);
      rows.set('minute', row, minute);
      rows.set('actor', row, actor);
      rows.set('collection', row, collection);
      rows.set('firstSeq', row, seq);
    }
    rows.set('events', row, rows.at.events[row]! + 1);
    rows.set('lastSeq', row, seq);
  }
}

interface FoundSession {
  readonly actor: Actor;
  readonly clients: Set<string>;
  readonly tools: Set<string>;
  readonly collections: Set<number>;
  events: number;
  firstSeq: number;
  lastSeq: number;
}

/** An ActivityStep while it is counted. */
interface Step {
  readonly at_ms: number;
  last_seq: number;
  readonly counts: [series: number, events: number][];
}

/** Rows added up for one answer. */
class Tally {
  readonly series: { client: string; tool: string }[] = [];
  readonly steps: Step[] = [];
  events = 0;
  private readonly numbers = new Map<string, number>();
  private readonly byActor = new Map<number, { series: number; session: FoundSession | undefined }>();
  private readonly sessions = new Map<string, FoundSession>();

  constructor(
    readonly stepMin: number,
    private readonly actorOf: (seq: number) => Actor | undefined,
  ) {}

  add(minute: number, actor: number, collection: number, events: number, firstSeq: number, lastSeq: number) {
    const { series, session } = this.whose(actor, firstSeq);
    const at_ms = Math.floor(minute / this.stepMin) * this.stepMin * MINUTE_MS;
    let step = this.steps.at(-1);
    if (step?.at_ms !== at_ms) {
      step = { at_ms, last_seq: lastSeq, counts: [] };
      this.steps.push(step);
    }
    step.last_seq = Math.max(step.last_seq, lastSeq);
    const count = step.counts.find(([number]) => number === series);
    if (count === undefined) step.counts.push([series, events]);
    else count[1] += events;
    this.events += events;
    if (session === undefined) return;
    if (collection !== 0) session.collections.add(collection);
    session.events += events;
    session.firstSeq = Math.min(session.firstSeq, firstSeq);
    session.lastSeq = Math.max(session.lastSeq, lastSeq);
  }

  sessionsLatestFirst(): FoundSession[] {
    return [...this.sessions.values()].sort((a, b) => b.lastSeq - a.lastSeq);
  }

  private whose(actorSeq: number, firstSeq: number) {
    const known = this.byActor.get(actorSeq);
    if (known !== undefined) return known;
    const actor = this.actorOf(actorSeq);
    const client = actor?.clientName ?? '';
    const tool = actor?.tool ?? '';
    const key = JSON.stringify([client, tool]);
    let series = this.numbers.get(key);
    if (series === undefined) {
      series = this.series.push({ client, tool }) - 1;
      this.numbers.set(key, series);
    }
    const whose = { series, session: actor && this.sessionOf(actor, firstSeq) };
    this.byActor.set(actorSeq, whose);
    return whose;
  }

  private sessionOf(actor: Actor, firstSeq: number): FoundSession {
    let found = this.sessions.get(actor.session);
    if (found === undefined) {
      const none = { clients: new Set<string>(), tools: new Set<string>(), collections: new Set<number>() };
      found = { actor, ...none, events: 0, firstSeq, lastSeq: firstSeq };
      this.sessions.set(actor.session, found);
    }
    found.clients.add(actor.clientName);
    found.tools.add(actor.tool);
    return found;
  }
}

/** The shortest step, in minutes, of which `most` span so many. */
function stepOf(minutes: number, most: number): number {
  // One more: the first and the last may be parts of steps.
  const fitting = STEPS_MIN.find(step => Math.ceil(minutes / step) + 1 <= most);
  return fitting ?? 7 * DAY * Math.max(1, Math.ceil(minutes / (7 * DAY * Math.max(1, most - 1))));
}

function checkCount(name: string, count: number, min: number, max: number): void {
  if (Number.isInteger(count) && count >= min && count <= max) return;
  throw new CodedError('INVALID_ARGUMENT', `${name}: ${count}`, `Give ${min} to ${max}.`);
}
