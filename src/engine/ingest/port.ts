import type { CallContext, Receipt } from '../../domain/face.js';
import type { Metadata } from '../../domain/model.js';

/** A chunk as it lies in the store. */
export interface StoredChunk {
  readonly id: string;
  /** What ChunkStore.hashText gives for its text. */
  readonly textHash: string;
  readonly metadata: Metadata;
}

/** A chunk as it shall be: `metadata` replaces what is there, it is not merged into it. */
export interface ChunkPut {
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata;
}

/** What became of one file's transaction. Where nothing changed, `firstSeq` is 0 and `receipt` is the head. */
export interface FileCommit {
  readonly receipt: Receipt;
  /** First event of the transaction. */
  readonly firstSeq: number;
  readonly added: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly removed: number;
}

/** What ingest needs of the engine. Paths are absolute, with `/` as separator, as in `metadata.file`. */
export interface ChunkStore {
  /**
   * Where the store's own files lie, free of links; undefined for a store without files. Nothing below it is ever read:
   * opening and closing LevelDB's LOCK, even to read it, lets go of the lock that keeps other processes out.
   */
  readonly directory?: string;
  /** The items of origin `file` whose metadata.file is exactly this path; none where the collection does not exist. */
  existing(collection: string, absolutePath: string): Promise<StoredChunk[]>;
  /** The distinct metadata.file values of origin `file` that equal the path or lie below it as a directory. */
  filesBelow(collection: string, absolutePrefixDir: string): Promise<string[]>;
  /**
   * Writes and removes a file's chunks in one transaction, with origin `file`. Texts that are already there under the
   * same id are not embedded again.
   * @param allowSecrets Store text that looks like a credential all the same.
   * @param turn Nothing is written before it resolves, embedding need not wait; a rejection is passed on. Default: at once.
   * @throws CodedError SECRET_SUSPECTED or TOO_LARGE when this file's text is refused: nothing of it was written and
   *   ingest goes on with the next file. Any other error ends the ingest.
   */
  commitFile(
    collection: string,
    put: readonly ChunkPut[],
    remove: readonly string[],
    context: CallContext,
    allowSecrets: boolean,
    turn?: Promise<void>,
  ): Promise<FileCommit>;
  /** Items of origin `file` in the collection. */
  countFileItems(collection: string): Promise<number>;
  /** The embedder's window: see Embedder.cut. */
  cut(text: string): Promise<(readonly [start: number, end: number])[]>;
  /** The hash by which the store tells texts apart, as StoredChunk.textHash reports it. */
  hashText(text: string): string;
  head(): Receipt;
}
