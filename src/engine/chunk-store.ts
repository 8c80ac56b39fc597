import { realpathSync } from 'node:fs';
import { hashHex, xxh64 } from '../../wal/hash.js';
import type { Log } from '../../wal/log.js';
import type { CallContext, Receipt } from '../domain/face.js';
import { parseWhere } from '../domain/where.js';
import { checkCollectionName, checkUpsert } from './check.js';
import type { Embedders } from './embedders.js';
import type { ChunkPut, ChunkStore, FileCommit, StoredChunk } from './ingest/port.js';
import type { Projections } from './projections.js';
import type { Versions } from './versions.js';
import { headReceipt, type Writer } from './write.js';

export interface ChunkStoreOptions {
  readonly storeDir: string;
  readonly log: Log;
  readonly projections: () => Projections;
  readonly embedders: Embedders;
  readonly writer: Writer;
  readonly versions: Versions;
}

/** What ingest needs of the engine, over the write path and the projections. */
export class EngineChunkStore implements ChunkStore {
  readonly directory: string;

  constructor(private readonly options: ChunkStoreOptions) {
    this.directory = realpathSync(options.storeDir);
  }

  async existing(collection: string, absolutePath: string): Promise<StoredChunk[]> {
    return this.fileItems(collection, { file: absolutePath }).map(item => ({
      id: item.id,
      textHash: this.hashText(item.text),
      metadata: item.metadata,
    }));
  }

  async filesBelow(collection: string, absolutePrefixDir: string): Promise<string[]> {
    const prefix = absolutePrefixDir.endsWith('/') ? absolutePrefixDir : `${absolutePrefixDir}/`;
    // "0" is the character after "/": a range of strings is all that begins with the prefix.
    const below = { $gte: prefix, $lt: `${prefix.slice(0, -1)}0` };
    const files = new Set<string>();
    for (const item of this.fileItems(collection, {
      $or: [{ file: absolutePrefixDir }, { file: below }],
    }))
      if (typeof item.metadata.file === 'string') files.add(item.metadata.file);
    return [...files];
  }

  async commitFile(
    collection: string,
    put: readonly ChunkPut[],
    remove: readonly string[],
    context: CallContext,
    allowSecrets: boolean,
    turn?: Promise<void>,
  ): Promise<FileCommit> {
    if (put.length > 0) checkUpsert({ collection, items: put, allow_secrets: allowSecrets }, put.length);
    else checkCollectionName(collection);
    const { decision, committed, removed } = await this.options.writer.decideAndCommit(
      {
        collection,
        items: put,
        origin: 'file',
        metadataMode: 'replace',
        newId: () => {
          throw new Error('a chunk has its id from its file');
        },
      },
      remove,
      context,
      turn,
    );
    const count = (outcome: string) => decision.items.filter(item => item.outcome === outcome).length;
    return {
      receipt: committed.receipt,
      firstSeq: committed.firstSeq,
      added: count('created'),
      updated: count('updated'),
      unchanged: count('unchanged'),
      removed,
    };
  }

  async countFileItems(collection: string): Promise<number> {
    return this.fileItems(collection, { file: { $exists: true } }).length;
  }

  cut(text: string): Promise<(readonly [start: number, end: number])[]> {
    return this.options.embedders.configured.cut(text);
  }

  hashText(text: string): string {
    return hashHex(xxh64(Buffer.from(text)));
  }

  head(): Receipt {
    return headReceipt(this.options.log);
  }

  private fileItems(collectionName: string, where: Record<string, unknown>) {
    const projections = this.options.projections();
    projections.assertUsable();
    const { catalog, metadata } = projections;
    const collection = catalog.collection(collectionName);
    if (collection === undefined) return [];
    const live = catalog.liveMask(new Set([collection.id]));
    const matches = metadata.evaluate(parseWhere(where), live.length);
    const found = [];
    for (let ordinal = 0; ordinal < live.length; ordinal++) {
      if (!(live[ordinal] & matches[ordinal])) continue;
      const { view } = this.options.versions.view(ordinal, collection);
      if (view.origin === 'file') found.push(view);
    }
    return found;
  }
}
