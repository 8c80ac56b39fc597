/**
 * Redaction: the contents of an item's versions go for good, from the log, from what was cut off it, and with the indexes that were made of
 * them. For operators, on a store that no server has open. The event that says so comes first; where its work was interrupted, the next
 * opening of the store goes on before it answers anything.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { GroupCommitLog } from '../../wal/group-commit.js';
import { hashHex } from '../../wal/hash.js';
import { fsyncDirectory } from '../../wal/head-file.js';
import type { LevelLog } from '../../wal/level-log.js';
import { openLog } from '../../wal/open.js';
import { PATHS } from '../../wal/paths.js';
import { eraseInQuarantine, settleQuarantines } from '../../wal/quarantine-erase.js';
import { CodedError } from '../domain/errors.js';
import type { Progress, Receipt } from '../domain/face.js';
import type { Actor, DomainEvent, IndexEngine } from '../domain/model.js';
import type { Catalog } from '../projections/catalog.js';
import { buildCheckpoint } from './build-checkpoint.js';
import { followCatalog } from './catalog-events.js';
import { checkId } from './check.js';
import { type ErasingOptions, eraseContents } from './erasing.js';
import { encodeResidue, eventToAppend } from './event-codec.js';
import { describeSeq } from './moments.js';
import {
  backupsHolding,
  type HeldBackup,
  type HeldQuarantine,
  quarantinesHolding,
  readableQuarantines,
  residueFinder,
} from './redact-copies.js';
import { replayCatalog } from './replay.js';
import { emptyScratch } from './scratch.js';

export interface RedactOptions {
  readonly storeDir: string;
  readonly collection: string;
  readonly ids: readonly string[];
  /** Do it; kept in the log. Default: only tell what would go. */
  readonly apply?: { readonly reason: string; readonly actor: Actor } | undefined;
  /** Directories of backups to look for it in. */
  readonly backups?: readonly string[];
  /** Remove what earlier openings set aside as evidence of damage: it may hold the contents as well. */
  readonly discardEvidence?: boolean;
  readonly indexEngine?: IndexEngine | undefined;
  readonly clock?: () => number;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface RedactedVersion {
  readonly id: string;
  readonly version: number;
  readonly time: string;
  /** The event that ended it; absent while it lives. */
  readonly ended?: number;
  /** Its content was erased before. */
  readonly isErased: boolean;
  /** Events that hold its content. */
  readonly events: readonly number[];
}

export interface RedactAnswer {
  readonly collection: string;
  readonly versions: readonly RedactedVersion[];
  /** What was cut off the log and holds contents of the items: erased there as well. */
  readonly quarantines: readonly HeldQuarantine[];
  /** Folders of evidence of damage: nobody can tell what is in them. */
  readonly evidence: readonly string[];
  /** Backups that hold contents of the items: they are not touched. */
  readonly backups: readonly HeldBackup[];
  /** Absent where nothing was done. */
  readonly done?: Receipt & { readonly freedBytes: number };
}

/**
 * Tells which contents of items a store holds, and on request erases them. The items are deleted, where they live.
 * @throws CodedError COLLECTION_NOT_FOUND, INVALID_ARGUMENT (an id that never was; evidence of damage is there and was not to be discarded)
 * @throws WalError as openLog does; BACKUP_MISSING; WAL_IO (something in quarantine that cannot be read: nothing was changed)
 */
export async function redact(options: RedactOptions): Promise<RedactAnswer> {
  const { storeDir, apply, onProgress, indexEngine } = options;
  const log = await openLog({ storeDir, clock: options.clock ?? Date.now });
  try {
    const whole = { sinceSeq: log.head.seq + 1, until: describeSeq(log, log.head.seq) };
    const { catalog } = await replayCatalog(log, whole, onProgress);
    const collection = catalog.collection(options.collection);
    if (collection === undefined)
      throw new CodedError(
        'COLLECTION_NOT_FOUND',
        `there is no collection "${options.collection}"`,
        `There are: ${catalog.collections.map(({ name }) => name).join(', ') || 'none'}.`,
      );
    const ids = [...new Set(options.ids)];
    const versions = ids.flatMap(id => versionsOf(log, catalog, collection.id, id));
    settleQuarantines(storeDir);
    const plan = {
      collection: collection.name,
      versions,
      quarantines: await quarantinesHolding(storeDir, catalog, collection.name, new Set(ids)),
      evidence: evidenceOf(storeDir),
      backups: await backupsHolding(
        options.backups ?? [],
        log.lineage,
        versions.flatMap(({ events }) => events),
      ),
    };
    if (apply === undefined) return plan;
    if (plan.evidence.length > 0 && options.discardEvidence !== true)
      throw new CodedError(
        'INVALID_ARGUMENT',
        `${plan.evidence.join(', ')} may hold the contents as well: what earlier openings set aside as evidence of damage`,
        'Look at it, then repeat the call with --discard-evidence, or move it out of the store first. Nothing was changed.',
      );
    for (const path of plan.evidence) rmSync(path, { recursive: true, force: true });
    await append(log, catalog, eventsOf(catalog, collection.id, ids, apply.reason), apply.actor);
    const freedBytes = await finishRedactions(log, storeDir, catalog, { onProgress });
    await buildCheckpoint(storeDir, log, { indexEngine, onProgress });
    const { seq, hash } = log.head;
    return { ...plan, done: { seq, hash: hashHex(hash), freedBytes } };
  } finally {
    await log.close();
  }
}

function versionsOf(log: LevelLog, catalog: Catalog, collection: number, id: string): RedactedVersion[] {
  checkId('id', id);
  const newest = catalog.findEver(collection, id);
  if (newest < 0)
    throw new CodedError(
      'INVALID_ARGUMENT',
      `"${id}" was never in the collection`,
      'Name the collection that it is in: `mcp-vector-server history` shows what was there.',
    );
  const versions: RedactedVersion[] = [];
  for (let ordinal = newest; ordinal >= 0; ordinal = catalog.previousOf(ordinal)) {
    const version = catalog.seqOf(ordinal);
    versions.push({
      id,
      version,
      time: describeSeq(log, version).time,
      ...(!catalog.isLive(ordinal) && { ended: catalog.diedOf(ordinal) }),
      isErased: catalog.erasedOf(ordinal) !== undefined,
      events: catalog.contentSeqsOf(ordinal),
    });
  }
  return versions;
}

function eventsOf(
  catalog: Catalog,
  collection: number,
  ids: readonly string[],
  reason: string,
): DomainEvent[] {
  return ids.flatMap((id): DomainEvent[] => [
    ...(catalog.find(collection, id) < 0 ? [] : [{ type: 'item_deleted' as const, collection, id }]),
    { type: 'item_redacted', collection, id, reason },
  ]);
}

/** Writes events as one transaction, and brings the catalog as far. */
async function append(
  log: GroupCommitLog,
  catalog: Catalog,
  events: readonly DomainEvent[],
  actor: Actor,
): Promise<void> {
  const known = catalog.registry.actors.seqOf(actor);
  const all: DomainEvent[] = known === 0 ? [{ type: 'actor_declared', ...actor }, ...events] : [...events];
  const actorSeq = known === 0 ? log.nextSeq : known;
  const { firstSeq, lastSeq, durable } = log.append(all.map(event => eventToAppend(event, actorSeq)));
  await durable;
  for (let seq = firstSeq; seq <= lastSeq; seq++) {
    followCatalog(catalog, log.get(seq));
  }
}

/**
 * Does what redactions that are in the log are still to do: erases the contents from the log and from what was cut off it, and removes every
 * checkpoint, since its indexes were made of them.
 * @param catalog of all events of the log; brought up to those that are written here
 * @returns the bytes by which the log became smaller
 */
export async function finishRedactions(
  log: LevelLog,
  storeDir: string,
  catalog: Catalog,
  options: ErasingOptions = {},
): Promise<number> {
  const pending = catalog.registry.pendingErasures.filter(({ why }) => why === 'redacted');
  const seqs = new Set(pending.map(({ seq }) => seq));
  const redacted = catalog.registry.milestones.filter(({ seq }) => seqs.has(seq));
  for (const name of [PATHS.checkpoints, PATHS.scratch])
    rmSync(join(storeDir, name), { recursive: true, force: true });
  emptyScratch(storeDir);
  fsyncDirectory(storeDir);
  settleQuarantines(storeDir);
  for (const { path, manifest } of readableQuarantines(storeDir)) {
    const find = residueFinder(catalog, manifest.after.seq);
    await eraseInQuarantine(path, record => {
      const found = find(record, isRedacted);
      return found && encodeResidue(found, 'redacted');
    });
  }
  const { freedBytes } = await eraseContents(log, catalog, 'redacted', options);
  for (const { seq } of pending) {
    const actor = catalog.actor(log.get(seq).actor)!;
    await append(log, catalog, [{ type: 'erasure_finished', of: seq }], actor);
  }
  return freedBytes;

  function isRedacted(collection: string, id: string): boolean {
    return redacted.some(
      ({ collection: of, item }) => item === id && catalog.collectionById(of!)!.name === collection,
    );
  }
}

/** Folders that openings of damaged stores left. */
function evidenceOf(storeDir: string): string[] {
  const parent = join(storeDir, PATHS.evidence);
  // Every opening makes it.
  return readdirSync(parent).map(name => join(parent, name));
}
