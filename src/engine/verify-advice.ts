/** What to do about each kind of finding, in one place. docs/verify.md has the same in words. */
import type { FindingCode } from '../../wal/leveldb/findings.js';
import type { Finding, NextStep } from '../domain/verify.js';

const REPAIR =
  'Stop the server and keep a copy of the whole store directory. Then see what can be kept: `tools/repair`. With a backup: `tools/restore --from BACKUPS --to NEW`.';
const HEAD =
  'Put HEAD back from a copy of the store, of the same moment as the log. Without one: `tools/repair` shows what the log holds.';
const CACHE =
  'Nothing is lost: it is a cache. Stop the server, delete the folder under checkpoints/, and start it again, or `tools/replay --projection`.';
const UPGRADE = 'Use the version of mcp-vector-server that wrote it, or a later one.';

const STEPS = {
  WAL_BAD_RECORD: REPAIR,
  WAL_CHAIN_BROKEN: REPAIR,
  WAL_GAP: REPAIR,
  WAL_LOST_TAIL: REPAIR,
  WAL_FILES_DAMAGED: REPAIR,
  WAL_HEAD_MISSING: HEAD,
  WAL_HEAD_DAMAGED:
    'If one slot is damaged, nothing is lost: the next start of the server writes it anew. If both are, put HEAD back from a copy of the store, of the same moment as the log.',
  WAL_HEAD_MISMATCH: HEAD,
  WAL_NEWER_FORMAT: UPGRADE,
  WAL_OLDER_FORMAT: 'Stop the server, then: `mcp-vector-server migrate --yes`.',
  CURRENT_MISSING: REPAIR,
  CURRENT_DAMAGED: REPAIR,
  MANIFEST_MISSING: REPAIR,
  MANIFEST_DAMAGED: REPAIR,
  TABLE_MISSING: REPAIR,
  TABLE_TRUNCATED: REPAIR,
  TABLE_DAMAGED: REPAIR,
  LOG_MISSING: REPAIR,
  LOG_DAMAGED: REPAIR,
  KEY_GAP: REPAIR,
  FOREIGN_KEYS: REPAIR,
  WRITES_HIDDEN: REPAIR,
  UNREADABLE:
    'Check the permissions of the store directory, and the disk and its cables (`dmesg`). Then verify again.',
  LEVELDB_DIFFERS:
    'Its records are intact in its files, but LevelDB would not give them all. Stop the server and make a new store of it: `tools/repair`, or `tools/restore --from BACKUPS --to NEW`.',
  EVENT_UNKNOWN: UPGRADE,
  EVENT_MALFORMED:
    'The record is as it was written, by a faulty version of the program: report it with `mcp-vector-server --version`.',
  CHECKPOINT_DAMAGED: CACHE,
  CHECKPOINT_FOREIGN: CACHE,
  CHECKPOINT_DIFFERS: CACHE,
  QUARANTINE_DAMAGED:
    'The store itself is sound: what was cut off earlier is concerned. Put the folder back from a copy, or delete it.',
  BACKUP_DIVERGED:
    'The store lost records, or is an older copy of the one that was backed up: `tools/restore --from BACKUPS --to NEW`, or back this one up into another directory.',
} as const satisfies Record<FindingCode, string> & Record<string, string>;

/** Codes of findings that a verification may have. */
export type VerifyFindingCode = keyof typeof STEPS;

export const FINDING_CODES = Object.keys(STEPS) as VerifyFindingCode[];

/** What to do about these findings, in their order, each step once. */
export function nextSteps(findings: readonly Finding[]): NextStep[] {
  const codesOf = new Map<string, Set<string>>();
  for (const { code } of findings) {
    const step = (STEPS as Record<string, string>)[code] ?? REPAIR;
    codesOf.set(step, (codesOf.get(step) ?? new Set()).add(code));
  }
  return [...codesOf].map(([step, codes]) => ({ codes: [...codes], step }));
}
