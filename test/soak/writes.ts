/** What a client of the soak writes, with what it then knows. */
import { isDeepStrictEqual } from 'node:util';
import type { DeleteAnswer, GetAnswer, UpsertAnswer } from '#src/domain/face.js';
import type { MarkAnswer, RevertAnswer } from '#src/domain/travel.js';
import type { Documents } from './documents.js';
import type { Content } from './ledger.js';
import { type CollectionName, NOTES, type OwnData, POINTS } from './own-data.js';
import type { Questions } from './questions.js';

interface Suggested {
  readonly undo?: { readonly tool: string; readonly arguments: object };
}

export class Writes {
  private marks = 0;

  constructor(
    private readonly data: OwnData,
    private readonly questions: Questions,
    private readonly documents: Documents | undefined,
  ) {}

  /** Items of both collections, so that both are there. */
  async begin(): Promise<void> {
    for (const collection of [NOTES, POINTS] as const) await this.write(6, collection);
  }

  async write(
    count: number,
    collection: CollectionName = this.data.chance() < 0.6 ? NOTES : POINTS,
  ): Promise<void> {
    const ids = this.data.someIds(count);
    await this.upsert(collection, new Map(ids.map(id => [id, this.data.content(collection, id)])));
  }

  private async upsert(
    collection: CollectionName,
    contents: ReadonlyMap<string, Content>,
  ): Promise<UpsertAnswer & Suggested> {
    const answer = await this.data.call<UpsertAnswer & Suggested>('vector_upsert', {
      collection,
      items: [...contents].map(([id, content]) => ({ id, ...content })),
    });
    const own = this.data.items[collection];
    for (const { id, version } of answer.items) {
      const { metadata, ...content } = contents.get(id)!;
      const before = own.now(id)?.content?.metadata ?? {};
      own.note(id, { seq: version, content: { ...content, metadata: { ...before, ...metadata } } });
    }
    this.data.acknowledged(answer.seq, answer.items.length);
    return answer;
  }

  async annotate(): Promise<void> {
    const found = this.data.anyLive(NOTES);
    if (found === undefined) return;
    const [id, content] = found;
    const seen = this.data.nextRevision('seen');
    const { seq, items } = await this.data.call<UpsertAnswer>('vector_upsert', {
      collection: NOTES,
      items: [{ id, metadata: { seen } }],
    });
    const metadata = { ...content.metadata, seen };
    this.data.items[NOTES].note(id, { seq: items[0]!.version, content: { ...content, metadata } });
    this.data.acknowledged(seq, 1);
  }

  /** By its id, or by what only one item says. */
  async remove(): Promise<void> {
    const collection = this.data.chance() < 0.5 ? NOTES : POINTS;
    const found = this.data.anyLive(collection);
    if (found === undefined) return;
    const [id, { metadata }] = found;
    const how =
      this.data.chance() < 0.7 ? { ids: [id] } : { where: { owner: this.data.name, rev: metadata.rev! } };
    const { seq, deleted } = await this.data.call<DeleteAnswer>('vector_delete', { collection, ...how });
    this.data.items[collection].note(id, { seq, content: undefined });
    this.data.acknowledged(seq, 1);
    if (!isDeepStrictEqual(deleted, [id]))
      this.data.wrong(`a deletion of ${id} deleted ${deleted.join(', ')}`);
  }

  /** Overwrites, and takes that back as the answer says. */
  async undo(): Promise<void> {
    const found = this.data.anyLive(NOTES);
    if (found === undefined) return;
    const [id, before] = found;
    const { undo } = await this.upsert(NOTES, new Map([[id, this.data.content(NOTES, id)]]));
    const { seq } = await this.data.call<RevertAnswer>(undo!.tool, undo!.arguments);
    const { items } = await this.data.call<GetAnswer>('vector_get', { collection: NOTES, ids: [id] });
    const [item] = items;
    if (item?.text !== before.text || !isDeepStrictEqual(item.metadata, before.metadata))
      this.data.wrong(`undone, ${id} is ${JSON.stringify(item)} and not ${JSON.stringify(before)}`);
    this.data.items[NOTES].note(id, { seq: item?.version ?? seq, content: before });
    this.data.acknowledged(seq, 1);
  }

  async mark(): Promise<void> {
    const name = `${this.data.name}-mark-${++this.marks}`;
    const { seq } = await this.data.call<MarkAnswer>('vector_mark', { name, note: 'of a soak' });
    const own = this.data.items[NOTES];
    await this.questions.compareGet(NOTES, own.ids, { as_of: name }, id => own.at(id, seq));
  }

  /** A file says something else, is gone, or comes back; the words of what it says are found, and of before no more. */
  async ingest(): Promise<void> {
    const documents = this.documents!;
    const { written, gone } = documents.change(
      file => this.data.word(`${this.data.name}${file}`, this.data.nextRevision(file)),
      () => this.data.chance(),
    );
    const { collection, folder } = documents;
    const { done, skipped } = await this.data.call<{ done: boolean; skipped: unknown[] }>('vector_ingest', {
      collection,
      paths: [folder],
    });
    if (!done || skipped.length > 0)
      this.data.wrong(`an ingest of ${folder} is not done, or skipped something`);
    const find = (query: string) =>
      this.questions.search({ query, mode: 'keyword', k: 3, collections: [collection] });
    if (written !== undefined && (await find(written)).length !== 1)
      this.data.wrong(`${written} was ingested, and is not found`);
    if (gone !== undefined && (await find(gone)).length !== 0)
      this.data.wrong(`${gone} is no more, and is found`);
  }
}
