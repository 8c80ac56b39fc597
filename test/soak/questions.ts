/** What a client of the soak asks, and what the answers are compared with. */
import { isDeepStrictEqual } from 'node:util';
import type { GetAnswer, ListAnswer, SearchAnswer } from '#src/domain/face.js';
import type { DiffAnswer, HistoryAnswer } from '#src/domain/travel.js';
import type { Entry, Shown } from './ledger.js';
import { NOTES, type OwnData, POINTS } from './own-data.js';

const MAX_CHARS = 100_000;

export class Questions {
  constructor(private readonly data: OwnData) {}

  async get(): Promise<void> {
    const collection = this.data.chance() < 0.5 ? NOTES : POINTS;
    const own = this.data.items[collection];
    const ids = own.ids.slice(this.data.pick(own.ids.length)).slice(0, 3);
    await this.compareGet(collection, ids, {}, id => own.now(id));
  }

  async getAsOf(): Promise<void> {
    const collection = this.data.chance() < 0.5 ? NOTES : POINTS;
    const own = this.data.items[collection];
    const seq = this.data.pastSeq(own);
    if (seq === undefined) return;
    await this.compareGet(collection, own.ids, { as_of: String(seq) }, id => own.at(id, seq));
  }

  async compareAll(): Promise<void> {
    for (const collection of [NOTES, POINTS] as const) {
      const own = this.data.items[collection];
      await this.compareGet(collection, own.ids, {}, id => own.now(id));
    }
  }

  /** @param known what each id is to be */
  async compareGet(
    collection: string,
    ids: readonly string[],
    more: object,
    known: (id: string) => Entry | undefined,
  ): Promise<void> {
    if (ids.length === 0) return;
    const { items } = await this.data.call<GetAnswer>('vector_get', {
      ...{ collection, ids, max_chars: MAX_CHARS },
      ...more,
    });
    const shown = new Map<string, Shown>(items.map(item => [item.id, item]));
    for (const id of ids)
      this.compare(`${collection}/${id} ${JSON.stringify(more)}`, known(id), shown.get(id));
  }

  private compare(what: string, known: Entry | undefined, shown: Shown | undefined): void {
    const content = known?.content;
    const isSame =
      content === undefined
        ? shown === undefined
        : shown?.text === content.text &&
          shown.version === known!.seq &&
          isDeepStrictEqual(shown.metadata, content.metadata);
    if (isSame) return;
    const isLost = content !== undefined && (shown === undefined || shown.version < known!.seq);
    if (isLost) this.data.options.tally.count('lost');
    this.data.wrong(`${what}: known ${JSON.stringify(known)}, shown ${JSON.stringify(shown)}`);
  }

  async list(): Promise<void> {
    const { items } = await this.data.call<ListAnswer>('vector_list', {
      ...{ collection: NOTES, where: { owner: this.data.name }, limit: 100, max_chars: MAX_CHARS },
    });
    const live = this.data.items[NOTES].live().map(([id, , version]) => `${id}@${version}`);
    const shown = items.map(({ id, version }) => `${id}@${version}`);
    if (!isDeepStrictEqual(shown.sort(), live.sort()))
      this.data.wrong(`a list has ${shown.join()}, known are ${live.join()}`);
  }

  /** By the word that only one text has; a filter that does not fit finds nothing. */
  async searchWord(): Promise<void> {
    const found = this.data.anyLive(NOTES);
    if (found === undefined) return;
    const [id, { text, metadata }, version] = found;
    const color = this.data.chance() < 0.3 ? this.data.color() : metadata.color!;
    const query = text.slice(0, text.indexOf(' '));
    const hits = await this.search({ query, mode: 'keyword', k: 3, collections: [NOTES], where: { color } });
    const expected = color === metadata.color ? [`${id}@${version}`] : [];
    if (!isDeepStrictEqual(hits, expected))
      this.data.wrong(`${query}, ${color}: ${hits.join()}, not ${expected.join()}`);
  }

  /** Its own text comes first. */
  async searchMeaning(): Promise<void> {
    const found = this.data.anyLive(NOTES);
    if (found === undefined) return;
    const [id, { text }, version] = found;
    const mode = this.data.chance() < 0.5 ? 'semantic' : 'hybrid';
    const where = this.data.chance() < 0.5 ? { where: { owner: this.data.name } } : {};
    const [first] = await this.search({ query: text, mode, k: 5, collections: [NOTES], ...where });
    if (first !== `${id}@${version}`)
      this.data.wrong(`${mode}, the text of ${id}@${version}: first is ${first}`);
  }

  /** The nearest of its own, by an exact scan of the Map. */
  async searchVector(): Promise<void> {
    const vector = this.data.vector();
    const k = 3;
    const where = { owner: this.data.name };
    const hits = await this.search({ vector, k, collections: [POINTS], where });
    const nearest = this.data.items[POINTS]
      .live()
      .map(([id, content, version]) => [`${id}@${version}`, cosine(vector, content.vector!)] as const)
      .sort((a, b) => b[1] - a[1])
      .slice(0, k)
      .map(([name]) => name);
    if (!isDeepStrictEqual(hits, nearest))
      this.data.wrong(`nearest are ${nearest.join()}, found were ${hits.join()}`);
  }

  async searchAsOf(): Promise<void> {
    const own = this.data.items[NOTES];
    const seq = this.data.pastSeq(own);
    if (seq === undefined) return;
    const ids = own.ids.filter(id => own.at(id, seq)?.content !== undefined);
    const id = ids[this.data.pick(ids.length)];
    if (id === undefined) return;
    const { content, seq: version } = own.at(id, seq)!;
    const mode = this.data.chance() < 0.5 ? 'keyword' : 'hybrid';
    const text = content!.text;
    const query = mode === 'keyword' ? text.slice(0, text.indexOf(' ')) : text;
    const hits = await this.search({ query, mode, k: 3, collections: [NOTES], as_of: String(seq) });
    if (hits[0] !== `${id}@${version}`)
      this.data.wrong(`as of ${seq}, ${id}@${version}: first is ${hits[0]}`);
  }

  async search(query: object): Promise<string[]> {
    const { results } = await this.data.call<SearchAnswer>('vector_search', query);
    return results.map(({ id, version }) => `${id}@${version}`);
  }

  async history(): Promise<void> {
    const own = this.data.items[NOTES];
    const id = own.ids[this.data.pick(own.ids.length)];
    if (id === undefined) return;
    const { changes } = await this.data.call<HistoryAnswer>('vector_history', {
      ...{ collection: NOTES, id, limit: 3 },
    });
    const { seq, content } = own.now(id)!;
    const [last] = changes;
    const isRight = content === undefined ? last?.type === 'deleted' : last?.after?.version === seq;
    if (!isRight) this.data.wrong(`the history of ${id} ends with ${JSON.stringify(last)}, known is ${seq}`);
  }

  async diff(): Promise<void> {
    const own = this.data.items[NOTES];
    const seq = this.data.pastSeq(own);
    if (seq === undefined) return;
    const { counts } = await this.data.call<DiffAnswer>('vector_diff', {
      ...{ from: String(seq), collection: NOTES, where: { owner: this.data.name }, limit: 5 },
    });
    const expected = { added: 0, changed: 0, removed: 0 };
    for (const id of own.ids) {
      const [before, after] = [own.at(id, seq)?.content, own.now(id)?.content];
      if (isDeepStrictEqual(before, after)) continue;
      expected[before === undefined ? 'added' : after === undefined ? 'removed' : 'changed']++;
    }
    if (!isDeepStrictEqual(counts, expected))
      this.data.wrong(`since ${seq}: ${JSON.stringify(counts)}, known are ${JSON.stringify(expected)}`);
  }

  async status(): Promise<void> {
    const { store } = await this.data.call<{ store: { state: string } }>('vector_status', {});
    if (store.state !== 'ok') this.data.wrong(`the store is ${store.state}`);
  }
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, at) => sum + value * y[at]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
