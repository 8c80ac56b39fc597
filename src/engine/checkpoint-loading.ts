/** Projections out of the newest checkpoint that is any good. */
import type { Log } from '../../wal/log.js';
import { Catalog } from '../projections/catalog.js';
import { MetadataIndex } from '../projections/metadata.js';
import { VectorIndex } from '../projections/vectors/vector-index.js';
import { assertOfThisLog } from './checkpoint-checks.js';
import { CheckedFiles, type Manifest, readManifest } from './checkpoint-files.js';
import {
  CHECKPOINT_VERSION,
  checkpointDir,
  listCheckpoints,
  removeCheckpoints,
  removeUnfinished,
  settled,
} from './checkpoints.js';
import { type IndexOptions, Projections, type ReadPut, vectorsKey } from './projections.js';
import { readItemPut } from './versions.js';
import { Words } from './words.js';

/** What a checkpoint holds. */
interface Loaded {
  readonly manifest: Manifest;
  readonly catalog: Catalog;
  readonly words: Words;
  readonly metadata: MetadataIndex;
  readonly vectors: Map<string, VectorIndex>;
}

/** Loads a checkpoint, each file checked as it is read; graphs, and the words' use of what was read, follow in the background. */
async function load(dir: string, indexOptions: IndexOptions): Promise<Loaded> {
  const manifest = readManifest(dir, CHECKPOINT_VERSION);
  const files = new CheckedFiles(dir, manifest);
  const catalog = Catalog.load(await files.read('catalog'));
  const vectors = new Map<string, VectorIndex>();
  const loadVectors = async () => {
    for (const { id, metric, generations } of catalog.collections)
      for (const [generation, { space, isUsable }] of generations.entries()) {
        if (!isUsable) continue;
        const key = vectorsKey(id, generation);
        const options = { dimension: space.dimension, metric, ...indexOptions };
        vectors.set(key, await VectorIndex.load(dir, `vectors-${key}`, options, files));
      }
  };
  try {
    // The others are read while the vectors come, which take longest.
    const [words, metadata] = await settled([
      files.read('keywords').then(Words.load),
      files.read('metadata').then(MetadataIndex.load),
      loadVectors(),
    ] as const);
    return { manifest, catalog, words, metadata, vectors };
  } catch (error) {
    await closeAll(vectors);
    throw error;
  }
}

async function closeAll(vectors: ReadonlyMap<string, VectorIndex>): Promise<void> {
  await Promise.all([...vectors.values()].map(index => index.close()));
}

/** The checkpoints of a store that is being opened: the newest is read at once, beside whatever else is done; nothing is changed before it is asked for. */
export class CheckpointLoading {
  private begun: { readonly seq: number; readonly loading: Promise<Loaded> } | undefined;

  /** @param storeDir of a store that is this process's own */
  constructor(
    private readonly storeDir: string,
    private readonly indexOptions: IndexOptions,
  ) {
    const [seq] = listCheckpoints(storeDir);
    if (seq === undefined) return;
    this.begun = { seq, loading: this.load(seq) };
    // Whoever asks hears of a failure.
    this.begun.loading.catch(() => {});
  }

  private load(seq: number): Promise<Loaded> {
    return load(checkpointDir(this.storeDir, seq), this.indexOptions);
  }

  /**
   * The newest checkpoint that is whole and belongs to this log, or empty projections. To be called once.
   * @param warn told of every checkpoint that was discarded, and why
   */
  async projections(log: Log, warn: (error: Error) => void): Promise<Projections> {
    const readPut: ReadPut = seq => readItemPut(log, seq);
    removeUnfinished(this.storeDir);
    for (const seq of listCheckpoints(this.storeDir)) {
      const dir = checkpointDir(this.storeDir, seq);
      try {
        const { manifest, catalog, words, metadata, vectors } = await this.take(seq);
        try {
          assertOfThisLog(dir, manifest, log);
        } catch (error) {
          await closeAll(vectors);
          throw error;
        }
        const through = { seq: manifest.seq, hash: BigInt(`0x${manifest.hash}`) };
        return new Projections(this.indexOptions, readPut, catalog, words, metadata, vectors, through);
      } catch (error) {
        warn(error as Error);
        removeCheckpoints(this.storeDir, [seq]);
      }
    }
    await this.abandon();
    return new Projections(this.indexOptions, readPut);
  }

  private take(seq: number): Promise<Loaded> {
    if (this.begun?.seq !== seq) return this.load(seq);
    const { loading } = this.begun;
    this.begun = undefined;
    return loading;
  }

  /** Lets go of what was loaded and not asked for. */
  async abandon(): Promise<void> {
    const loaded = await this.begun?.loading.catch(() => undefined);
    this.begun = undefined;
    if (loaded !== undefined) await closeAll(loaded.vectors);
  }
}
