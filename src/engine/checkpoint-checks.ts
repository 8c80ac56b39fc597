/** Whether a checkpoint is whole, of this log's history, and what the log alone would make. */
import { hashHex } from '../../wal/hash.js';
import type { Log } from '../../wal/log.js';
import { Catalog } from '../projections/catalog.js';
import { CheckedFiles, checkFiles, checkSizes, damaged, type Manifest } from './checkpoint-files.js';
import { CHECKPOINT_VERSION, checkpointDir, describeExactParts, listCheckpoints } from './checkpoints.js';
import type { Projections } from './projections.js';

/**
 * A checkpoint's manifest, its files checked.
 * @throws CodedError PROJECTION_FAILED when it is damaged, of another version, or of another history than the log
 */
export async function checkedManifest(storeDir: string, seq: number, log: Log): Promise<Manifest> {
  const dir = checkpointDir(storeDir, seq);
  const manifest = await checkFiles(dir, CHECKPOINT_VERSION);
  assertOfThisLog(dir, manifest, log);
  return manifest;
}

/** @throws CodedError PROJECTION_FAILED where it is of another history than the log */
export function assertOfThisLog(dir: string, manifest: Manifest, log: Log): void {
  if (manifest.storeId !== log.lineage.storeId) throw damaged(dir, `it belongs to store ${manifest.storeId}`);
  if (manifest.seq > log.head.seq)
    throw damaged(dir, `it is complete through ${manifest.seq}, beyond the head ${log.head.seq}`);
  if (manifest.seq > 0 && hashHex(log.get(manifest.seq).hash) !== manifest.hash)
    throw damaged(dir, `event ${manifest.seq} has another hash in the log`);
}

export interface InspectedCheckpoint {
  readonly seq: number;
  /** Absent where it cannot be read. */
  readonly manifest?: Manifest;
  /** Why it is not whole. */
  readonly problem?: string;
}

/**
 * The checkpoints of a store, newest first, each checked.
 * @param isQuick by names and sizes alone: in a time that does not grow with them
 */
export async function inspectCheckpoints(
  storeDir: string,
  { isQuick = false }: { isQuick?: boolean } = {},
): Promise<InspectedCheckpoint[]> {
  return Promise.all(
    listCheckpoints(storeDir).map(async seq => {
      const check = isQuick ? checkSizes : checkFiles;
      try {
        const manifest = await check(checkpointDir(storeDir, seq), CHECKPOINT_VERSION);
        return { seq, manifest };
      } catch (error) {
        return { seq, problem: (error as Error).message };
      }
    }),
  );
}

/** The catalog of a checkpoint, by itself. @throws CodedError PROJECTION_FAILED */
export async function loadCatalog(storeDir: string, { seq, files }: Manifest): Promise<Catalog> {
  const dir = checkpointDir(storeDir, seq);
  return Catalog.load(await new CheckedFiles(dir, { files }).read('catalog'));
}

/**
 * The parts of a checkpoint that are not what projections made of the log alone hold: by their bytes, and of the vectors those of live versions.
 * @param projections complete through the checkpoint's event
 */
export async function unlikeParts(
  storeDir: string,
  { seq, files }: Manifest,
  projections: Projections,
): Promise<string[]> {
  const saved = new Map(files.map(({ name, digest }) => [name, digest]));
  // A checkpoint from before something was erased still knows it, and so does one of a process that had it in its indexes.
  const exact = projections.catalog.isWhole ? describeExactParts(projections) : [];
  const unlike = exact.filter(({ name, digest }) => saved.get(name) !== digest).map(({ name }) => name);
  const dir = checkpointDir(storeDir, seq);
  for (const [key, index] of projections.vectors) {
    const name = `vectors-${key}`;
    if (!(await index.holdsLiveRowsOf(dir, name))) unlike.push(name);
  }
  return unlike;
}
