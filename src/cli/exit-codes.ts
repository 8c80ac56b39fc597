import { isCoded } from '../domain/errors.js';

/** What the exit code of every command means. */
export const EXIT = {
  /** Done, or sound. */
  ok: 0,
  /** The thing asked about is not sound, is not there, or failed. */
  unsound: 1,
  /** Could not run: wrong usage, wrong configuration, store in use, an unexpected error. */
  couldNotRun: 2,
} as const;

/** What the exit code of `health` means: what monitoring systems expect of a check (0, 1, 2), and else 3. */
export const HEALTH_EXIT = { ok: 0, warn: 1, critical: 2, unknown: 3 } as const;

/** Errors that are a judgement on the store or the model, as opposed to a reason why nothing could be judged. */
const UNSOUND: ReadonlySet<string> = new Set([
  'WAL_LOST_TAIL',
  'WAL_GAP',
  'WAL_BAD_RECORD',
  'WAL_CHAIN_BROKEN',
  'WAL_FILES_DAMAGED',
  'WAL_HEAD_MISSING',
  'WAL_HEAD_DAMAGED',
  'WAL_HEAD_MISMATCH',
  'WAL_FOREIGN_OWNER',
  'WAL_POISONED',
  'REPAIR_IMPOSSIBLE',
  'REPAIR_UNFINISHED',
  'BACKUP_DIVERGED',
  'BACKUP_DAMAGED',
  'IMPORT_DAMAGED',
  'IMPORT_REFUSED',
  'IMPORT_CONFLICT',
  'EVENT_MALFORMED',
  'PROJECTION_FAILED',
  'MODEL_DAMAGED',
  'FORMAT_NEWER',
  'MIGRATION_FAILED',
  'UPDATE_FAILED',
  'SERVICE_FAILED',
  'RECOVERY_IMPOSSIBLE',
]);

/** The exit code for a command that threw `error`. */
export function exitCodeOf(error: unknown): number {
  return isCoded(error) && UNSOUND.has(error.code) ? EXIT.unsound : EXIT.couldNotRun;
}
