import type { Actor } from '../domain/model.js';
import type { ByteReader, ByteWriter } from './bytes.js';
import { Columns } from './columns.js';
import { lowerBound } from './lower-bound.js';
import { malformed } from './malformed.js';
import { OrdinalTable } from './ordinal-table.js';
import { Texts } from './texts.js';

const FIELDS = [
  'clientName',
  'clientVersion',
  'session',
  'sessionSource',
  'project',
  'transport',
  'tool',
] as const satisfies readonly (keyof Actor)[];

/** So many are remembered as they were asked for; then all are forgotten. */
const MOST_RECENT = 256;

/** Which actors are meant; what is left out means all. */
export interface ActorFilter {
  /** Whether a client's name is meant. */
  readonly isClient?: (name: string) => boolean;
  readonly session?: string | undefined;
  readonly project?: string | undefined;
}

/**
 * Who has written. Every session declares one for each tool that it writes with, so that there come to be many. In columns one costs
 * 60 to 100 bytes outside of V8's heap, where an object with a string for its key costs 500 on it, and saving 100 000 takes 9 ms instead of 190.
 */
export class Actors {
  private readonly texts = new Texts();
  /** `seq` is that of the event that declared them, ascending; the others are numbers of texts. */
  private readonly rows = new Columns(['seq', ...FIELDS]);
  private readonly byFields = new OrdinalTable(row => hashOf(this.numbersOf(row)));
  /** By session and tool. A store is written by few at a time, and looking for seven texts takes ten times as long. */
  private readonly recent = new Map<string, { readonly actor: Actor; readonly seq: number }>();
  /** By seq: each result of a search names its actor, and most of them have few. */
  private readonly decoded = new Map<number, Actor>();

  get bytes(): number {
    return this.texts.bytes + this.rows.bytes + this.byFields.bytes;
  }

  /** Events come in their order. */
  declare(seq: number, actor: Actor): void {
    const row = this.rows.append();
    this.rows.set('seq', row, seq);
    for (const field of FIELDS) this.rows.set(field, row, this.texts.findOrAdd(actor[field]));
    this.byFields.add(row);
  }

  /** The actor that an event declared; undefined where it declared none. */
  get(seq: number): Actor | undefined {
    const known = this.decoded.get(seq);
    if (known !== undefined) return known;
    const { at, rows } = this.rows;
    const row = lowerBound(at.seq, rows, seq);
    if (row === rows || at.seq[row] !== seq) return undefined;
    const texts = FIELDS.map(field => [field, this.texts.text(at[field][row]!)]);
    const actor = Object.fromEntries(texts) as unknown as Actor;
    remember(this.decoded, seq, actor);
    return actor;
  }

  /** An event that declared exactly this actor, or 0. */
  seqOf(actor: Actor): number {
    const key = `${actor.session}\n${actor.tool}`;
    const known = this.recent.get(key);
    if (known !== undefined && FIELDS.every(field => known.actor[field] === actor[field])) return known.seq;
    const row = this.find(actor);
    if (row < 0) return 0;
    const seq = this.rows.at.seq[row]!;
    remember(this.recent, key, { actor, seq });
    return seq;
  }

  /** The events that declared those who are meant. */
  seqsOf({ isClient, session, project }: ActorFilter): Set<number> {
    const { at, rows } = this.rows;
    const wanted = { session: this.wanted(session), project: this.wanted(project) };
    const clients = new Map<number, boolean>();
    const isMeantClient = (number: number) => {
      let isMeant = clients.get(number);
      if (isMeant === undefined) {
        isMeant = isClient?.(this.texts.text(number)) ?? true;
        clients.set(number, isMeant);
      }
      return isMeant;
    };
    const seqs = new Set<number>();
    for (let row = 0; row < rows; row++)
      if (
        (wanted.session ?? at.session[row]) === at.session[row] &&
        (wanted.project ?? at.project[row]) === at.project[row] &&
        isMeantClient(at.clientName[row]!)
      )
        seqs.add(at.seq[row]!);
    return seqs;
  }

  /** Number of a text that is asked for; -1, which no row has, for one that nobody has. */
  private wanted(text: string | undefined): number | undefined {
    return text === undefined ? undefined : this.texts.find(text);
  }

  private find(actor: Actor): number {
    const numbers = FIELDS.map(field => this.texts.find(actor[field]));
    if (numbers.includes(-1)) return -1;
    return this.byFields.find(hashOf(numbers), row =>
      FIELDS.every((field, n) => this.rows.at[field][row] === numbers[n]),
    );
  }

  private numbersOf(row: number): number[] {
    return FIELDS.map(field => this.rows.at[field][row]!);
  }

  write(writer: ByteWriter): void {
    this.texts.write(writer);
    this.rows.write(writer);
  }

  /** @throws CodedError PROJECTION_FAILED */
  read(reader: ByteReader): void {
    this.texts.read(reader);
    this.rows.read(reader);
    const { rows } = this.rows;
    for (let row = 0; row < rows; row++)
      if (this.numbersOf(row).some(number => number >= this.texts.size))
        throw malformed(`saved catalog: a text of actor ${row} is out of bounds`);
    this.byFields.fillLater(rows, rows, () => true);
  }
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.size === MOST_RECENT) map.clear();
  map.set(key, value);
}

const hashOf = (numbers: readonly number[]): number =>
  numbers.reduce((hash, number) => Math.imul(hash ^ number, 0x9e3779b1), 0) >>> 0;
