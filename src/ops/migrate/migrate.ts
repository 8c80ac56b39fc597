/**
 * Brings a store of an earlier format to the present one. Each step makes a store beside the one before it, inside the store's directory; the
 * last one is verified and then exchanged for the log that is there, which is taken aside whole: so there is a copy of what was, and a
 * migration that is killed leaves the old store or the new one.
 */
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../../../wal/backup/sealed.js';
import { makeDirectory } from '../../../wal/directory.js';
import { exists } from '../../../wal/exists.js';
import { fsyncDirectory } from '../../../wal/head-file.js';
import { storeState } from '../../../wal/open.js';
import { takeOwnership } from '../../../wal/owner.js';
import { PATHS } from '../../../wal/paths.js';
import { readText } from '../../../wal/read-text.js';
import {
  assertNotSwapping,
  finishSwap,
  isSwapping,
  newStoreIn,
  removeWork,
  swap,
} from '../../../wal/repair/swap.js';
import { CodedError } from '../../domain/errors.js';
import { verifyStore } from '../../engine/verify.js';
import { asideOf, isReplaced } from '../replace-log.js';
import { formatOf, PROGRAM_FORMAT, type StoreFormat } from './format.js';
import { MIGRATIONS, type Migration, stepsBetween } from './migrations.js';

export interface MigrateOptions {
  /** Do it. Default: only tell. */
  readonly apply?: boolean;
  /** Names the folder that the old log is taken to. Default: now. A repetition with the same time changes nothing more. */
  readonly time?: Date | undefined;
  readonly clock?: () => number;
  /** Told before each step, and of the records that it has come to. */
  readonly onStep?: ((step: string, records: number) => void) | undefined;
  /** For tests: other steps, and the format that they lead to. */
  readonly migrations?: readonly Migration[];
  readonly program?: number;
}

export interface MigrateAnswer extends StoreFormat {
  /** What is to be done, or was, in order. */
  readonly steps: readonly { readonly from: number; readonly to: number; readonly summary: string }[];
  readonly done: boolean;
  /** Where the old log is, relative to the store. */
  readonly aside?: string;
}

/**
 * @param storeDir a store that nobody has open
 * @throws WalError STORE_IN_USE, STORE_FOREIGN, REPAIR_UNFINISHED (a dry run), WAL_IO; CodedError FORMAT_NEWER, MIGRATION_FAILED: the store is as it was
 */
export async function migrate(storeDir: string, options: MigrateOptions = {}): Promise<MigrateAnswer> {
  const { apply = false, clock = Date.now, migrations = MIGRATIONS, program = PROGRAM_FORMAT } = options;
  const time = options.time ?? new Date(clock());
  const whole = { ...options, apply, clock, migrations, program, time };
  // Of a swap that was interrupted the store's own names are missing.
  if (!isSwapping(storeDir) && storeState(storeDir) !== 'store') return await migrateOwned(storeDir, whole);
  // Also to look at it alone: a server that writes moves the files that are read.
  const ownership = await takeOwnership(storeDir);
  try {
    if (apply && isSwapping(storeDir)) finishSwap(storeDir);
    assertNotSwapping(storeDir);
    return await migrateOwned(storeDir, whole);
  } finally {
    await ownership.release();
  }
}

async function migrateOwned(
  storeDir: string,
  options: Required<Pick<MigrateOptions, 'apply' | 'clock' | 'migrations' | 'program'>> &
    MigrateOptions & { readonly time: Date },
): Promise<MigrateAnswer> {
  const { apply, migrations, program, time } = options;
  const format = await formatOf(storeDir, program);
  const steps =
    format.state === 'older' ? stepsBetween(format.store!.lowest, program, migrations) : undefined;
  if (format.state === 'older' && steps === undefined)
    throw failed(
      `no step leads from format version ${format.store!.lowest} to ${program}`,
      'Use a version of the program that has the step, then this one.',
    );
  const told = (steps ?? []).map(({ from, summary }) => ({ from, to: from + 1, summary }));
  if (apply && format.state === 'newer') throw newer(storeDir, format);
  if (apply && format.state === 'damaged')
    throw failed(
      `${storeDir} is damaged: ${format.reason}`,
      'See `mcp-vector-server verify`, and `mcp-vector-server recover`, before it is migrated.',
    );
  if (!apply || steps === undefined) {
    const isDone = apply && isReplaced(storeDir, time);
    return { ...format, steps: told, done: isDone, ...(isDone && { aside: asideOf(time) }) };
  }
  await takeSteps(storeDir, steps, options);
  const { sound, findings } = await verifyStore(newStoreIn(storeDir));
  if (!sound) {
    removeWork(storeDir);
    throw failed(
      `the migrated store is not sound: ${findings[0]!.message}`,
      'The store is as it was. Report this, with the version of the program.',
    );
  }
  await swap(storeDir, time);
  const after = await formatOf(storeDir, program);
  return { ...after, steps: told, done: true, aside: asideOf(time) };
}

/** In repairing/: what the steps start from, so that what an earlier attempt finished is only used for the same store. */
const NOTE = 'migration.json';

/** Finished steps stay where a migration was killed: the next one goes on after them. */
async function takeSteps(
  storeDir: string,
  steps: readonly Migration[],
  { clock, onStep }: Required<Pick<MigrateOptions, 'clock'>> & MigrateOptions,
): Promise<void> {
  const work = join(storeDir, PATHS.repairing);
  const source = createHash('sha256')
    .update(readFileSync(join(storeDir, PATHS.head)))
    .digest('hex');
  if (noteIn(work) !== source) {
    removeWork(storeDir);
    makeDirectory(work);
    await writeWhole(join(work, NOTE), source);
  }
  let from = storeDir;
  for (const [index, step] of steps.entries()) {
    const isLast = index === steps.length - 1;
    const made = isLast ? newStoreIn(storeDir) : join(work, `format-${step.from + 1}`);
    if (!exists(made)) {
      const making = `${made}.making`;
      rmSync(making, { recursive: true, force: true });
      const name = `format ${step.from} to ${step.from + 1}`;
      onStep?.(name, 0);
      try {
        await step.make(from, making, { clock, onProgress: records => onStep?.(name, records) });
      } catch (error) {
        throw failed(
          `the step from format ${step.from} to ${step.from + 1} failed: ${(error as Error).message}`,
          'The store is as it was. Check the disk; should it stay so, report this.',
          error,
        );
      }
      renameSync(making, made);
      fsyncDirectory(work);
    }
    from = made;
  }
}

function noteIn(work: string): string | undefined {
  return exists(join(work, NOTE)) ? readText(join(work, NOTE)) : undefined;
}

export const newer = (storeDir: string, { reason }: StoreFormat): CodedError =>
  new CodedError(
    'FORMAT_NEWER',
    `${storeDir} was written by a later version of the program: ${reason}`,
    'Use that version, or a later one (`mcp-vector-server update --list` shows those that are kept); or restore a backup from before it.',
  );

const failed = (message: string, wayOut: string, cause?: unknown): CodedError =>
  new CodedError('MIGRATION_FAILED', message, wayOut, { cause });
