/** How a store stands, now or as it stood at a moment. */
import { statfs } from 'node:fs/promises';
import type { GroupCommitLog } from '../../wal/group-commit.js';
import { hashHex } from '../../wal/hash.js';
import type { AsOf, CallContext, CollectionStatus, StatusAnswer } from '../domain/face.js';
import type { MarkView } from '../domain/travel.js';
import type { Embedder } from '../embedding/embedder.js';
import type { CollectionState } from '../projections/registry.js';
import { VERSION } from '../version.js';
import { lossWarning } from './after-loss.js';
import { directoryBytes } from './disk-space.js';
import type { Embedders } from './embedders.js';
import { describeSeq, endOf } from './moments.js';
import type { OnlineVerifier } from './online-verifier.js';
import type { Projections } from './projections.js';
import { type At, generationOf, type Reader } from './read.js';
import type { Versions } from './versions.js';

export interface VerifySchedule {
  /** A cron expression in the machine's zone, or "off". */
  readonly cron: string;
  /** Read of the disk at most. */
  readonly bytesPerSecond: number;
}

export interface StatusSource {
  readonly storeDir: string;
  readonly log: GroupCommitLog;
  readonly projections: Projections;
  readonly embedders: Embedders;
  readonly durability: 'interval' | 'strict';
  readonly warnings: readonly string[];
  readonly verify?: VerifySchedule | undefined;
  /** The event through which the newest checkpoint is complete; 0 where there is none. */
  readonly checkpointSeq: number;
  readonly reader: Reader;
  readonly verifier: OnlineVerifier;
  readonly versions: Versions;
}

/** @throws what the file system throws; CodedError as Reader.at */
export async function statusOf(
  source: StatusSource,
  query: AsOf,
  context: CallContext,
): Promise<StatusAnswer> {
  const { storeDir, log, projections, embedders, durability, reader, checkpointSeq, verifier, versions } =
    source;
  const disk = await statfs(storeDir);
  const { configured } = embedders;
  const embedderStatus = { space: await spaceOf(configured), state: configured.state() };
  // From here on nothing waits: one state of the store answers.
  const at = reader.at(query.as_of, context, query.within);
  const memory = process.memoryUsage();
  const failure = log.failure;
  const { wholeFrom } = projections.catalog;
  return {
    version: VERSION,
    store: {
      path: storeDir,
      id: log.lineage.storeId,
      epoch: log.lineage.epoch,
      durability,
      state: failure ? 'poisoned' : 'ok',
      ...(failure && { reason: failure.message }),
      ...(wholeFrom > 1 && { whole_from: describeSeq(log, endOf(log, wholeFrom)) }),
    },
    head: { seq: at.seq, hash: hashHex(log.get(at.seq).hash), time: at.time },
    marks: marksAt(projections, at.seq),
    collections: reader.collections(at).map(collection => collectionStatus(projections, collection, at)),
    checkpoint: {
      seq: checkpointSeq,
      age_events: projections.through.seq - checkpointSeq,
      warnings: [lossWarning(projections.catalog.registry.lostWithin(0, at.seq)), ...source.warnings].filter(
        warning => warning !== undefined,
      ),
    },
    verification: {
      schedule: source.verify?.cron ?? 'off',
      is_running: verifier.isRunning,
      ...verifier.state,
    },
    embedder: embedderStatus,
    memory: {
      rss_bytes: memory.rss,
      heap_bytes: memory.heapUsed,
      vectors_bytes: [...projections.vectors.values()].reduce((sum, index) => sum + index.sizeBytes, 0),
      tables_bytes: projections.catalog.bytes + projections.keywords.sizeBytes,
      caches_bytes: versions.cachedBytes,
    },
    disk: { store_bytes: directoryBytes(storeDir), free_bytes: disk.bavail * disk.bsize },
  };
}

const MAX_MARKS = 100;

function marksAt({ catalog }: Projections, seq: number): MarkView[] {
  return catalog.registry.marks
    .filter(mark => mark.seq <= seq)
    .slice(-MAX_MARKS)
    .reverse()
    .map(({ timeMs, ...mark }) => ({ ...mark, time: new Date(timeMs).toISOString() }));
}

/** Of a past moment the counts and the space are those of then; what the index holds is always told of now. */
function collectionStatus(projections: Projections, collection: CollectionState, at: At): CollectionStatus {
  const { catalog } = projections;
  const generation = generationOf(collection, at);
  const { kind, indexed, pending, dead } = projections.vectorsOf(collection, generation).counts;
  const { name, metric } = collection;
  let { items, passages } = collection;
  if (at.isPast) {
    const mask = catalog.maskAt(new Set([collection.id]), at.seq);
    items = 0;
    passages = 0;
    for (let ordinal = mask.indexOf(1); ordinal >= 0; ordinal = mask.indexOf(1, ordinal + 1)) {
      items += 1;
      passages += catalog.passagesOf(ordinal, generation);
    }
  }
  const preparing = at.isPast ? catalog.registry.preparingAt(collection.id, at.seq) : collection.preparing;
  return {
    name,
    items,
    passages,
    space: collection.generations[generation]!.space,
    metric,
    index: { kind, indexed, pending, dead },
    ...(preparing >= 0 && {
      reembedding: {
        space: collection.generations[preparing]!.space.id,
        items: catalog.addedCount(collection.id, preparing, at.seq),
      },
    }),
  };
}

/** A provider that cannot be reached has no space to name; its state says why. */
async function spaceOf(embedder: Embedder): Promise<string> {
  try {
    return (await embedder.space()).id;
  } catch (error) {
    return `unknown: ${(error as Error).message}`;
  }
}
