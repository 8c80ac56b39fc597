/**
 * The damage campaign: every file of a small store, bit by bit and cut by cut, deleted, zeroed, exchanged, put back as it was: verified,
 * opened and read. Allowed is everything right, or a coded refusal; a wrong answer, something silently missing or back from the
 * dead, an error without a code, a dead process or one that hangs are failures, and so is a damage that verify does not find and
 * place.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fastDirectory } from '../helpers/fast-directory.js';
import { type Case, casesOf, describe, filesOf } from './cases.js';
import { type Reading, readAll } from './reading.js';
import { makeStore, openDamageEngine, type StoreShape } from './store.js';
import { isWithoutMeaning } from './without-meaning.js';
import type { Assignment, Outcome } from './worker.js';

const WORKER = createRequire(import.meta.url).resolve('#test/damage/worker.js');
/** Far beyond what any case takes. */
const HANG_MS = 30_000;

export interface DamageOptions {
  readonly shape: StoreShape;
  /** One flip and one truncation in so many bytes; 1: every bit. */
  readonly stride: number;
  /** Of all cases, in (0, 1]. Default: 1. */
  readonly share?: number;
  /**
   * One flip and one truncation in so many is opened and read; the others are only verified, unless verify finds nothing where it should. Default: 1,
   * every one.
   */
  readonly readEvery?: number;
  readonly seed: number;
  /** Damages only files whose path, relative to the store, matches. Default: every file. */
  readonly only?: RegExp;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface FileTally {
  readonly file: string;
  readonly sizeBytes: number;
  cases: number;
  /** Verified alone, and found. */
  verified: number;
  /** Everything answered, and rightly. */
  right: number;
  refusedAtOpen: number;
  refusedAtCalls: number;
  /** Cases in which verify found nothing. */
  unseen: number;
  readonly codes: Set<string>;
}

export interface DamageReport {
  readonly seed: number;
  readonly shape: StoreShape;
  readonly files: readonly FileTally[];
  readonly failures: readonly string[];
  /** Cases that verify passed as sound; then nothing was refused either, or it is a failure. */
  readonly unseen: readonly Case[];
}

export async function runDamageCampaign(options: DamageOptions): Promise<DamageReport> {
  const { shape, stride, share = 1, readEvery = 1, seed } = options;
  const dir = mkdtempSync(join(fastDirectory(), 'torture-damage-'));
  try {
    const store = join(dir, 'store');
    const older = join(dir, 'older');
    const ids = await makeStore(store, older, shape, seed);
    const truth = await readTruth(store, join(dir, 'read'), shape, ids);
    const files = filesOf(store).filter(file => options.only?.test(file) ?? true);
    if (files.length === 0) throw new Error(`the store "${shape.name}" has no file to damage`);
    const all = { store, older, files, stride, share, seed };
    let total = 0;
    for (const _ of casesOf(all)) total++;
    const cases = casesOf(all);
    const tally = new Tally(store, files);
    let taken = 0;
    const examineAll = async (lane: number) => {
      const examiner = new Examiner({
        store,
        older,
        ids,
        truth,
        workDir: join(dir, `lane-${lane}`),
        ...graphOf(shape),
      });
      for (const one of cases) {
        const isRead = taken++ % readEvery === 0;
        tally.add(one, await examiner.examine(one, isRead));
        options.onProgress?.(taken, total);
      }
      examiner.close();
    };
    await Promise.all(
      Array.from({ length: Math.min(4, availableParallelism()) }, (_, lane) => examineAll(lane)),
    );
    return { seed, shape, files: tally.files, failures: tally.failures, unseen: tally.unseen };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const graphOf = ({ graphThresholdRows }: StoreShape) =>
  graphThresholdRows === undefined ? {} : { graphThresholdRows };

/** Of a copy: opening turns LevelDB's log into a table, and the log is to be damaged as well. */
async function readTruth(
  store: string,
  copy: string,
  shape: StoreShape,
  ids: Assignment['ids'],
): Promise<Reading> {
  cpSync(store, copy, { recursive: true });
  const engine = await openDamageEngine(copy, shape);
  const truth = await readAll(engine, ids);
  await engine.close();
  const refused = Object.entries(truth).find(([, answer]) => !('json' in answer));
  if (refused !== undefined) throw new Error(`the undamaged store answers ${JSON.stringify(refused)}`);
  return truth;
}

/** One child after the other: a new one where the last one died. */
class Examiner {
  private child: ChildProcess | undefined;

  constructor(private readonly assignment: Assignment) {}

  /** @param isRead the store is opened and read, whatever verify says */
  async examine(one: Case, isRead: boolean): Promise<Outcome> {
    const child = this.child ?? this.start();
    return new Promise(resolve => {
      const finish = (outcome: Outcome) => {
        clearTimeout(timer);
        child.removeAllListeners();
        resolve(outcome);
      };
      const died = (how: string): Outcome => {
        this.child = undefined;
        return { verify: [], isPlaced: true, isRead: true, refusedAtCalls: [], failures: [how] };
      };
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        finish(died(`no answer within ${HANG_MS} ms`));
      }, HANG_MS);
      child.on('message', ({ outcome }: { outcome: Outcome }) => finish(outcome));
      child.on('exit', (code, signal) => finish(died(`the process died: ${signal ?? `exit ${code}`}`)));
      child.send({ case: one, isRead });
    });
  }

  private start(): ChildProcess {
    const child = fork(WORKER, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    child.send({ assignment: this.assignment });
    this.child = child;
    return child;
  }

  close(): void {
    this.child?.kill();
  }
}

class Tally {
  readonly failures: string[] = [];
  readonly unseen: Case[] = [];
  private readonly byFile: Map<string, FileTally>;

  constructor(store: string, files: readonly string[]) {
    this.byFile = new Map(
      files.map(file => [
        file,
        {
          file,
          sizeBytes: statSync(join(store, file)).size,
          cases: 0,
          verified: 0,
          right: 0,
          refusedAtOpen: 0,
          refusedAtCalls: 0,
          unseen: 0,
          codes: new Set<string>(),
        },
      ]),
    );
  }

  get files(): FileTally[] {
    return [...this.byFile.values()];
  }

  add(one: Case, { verify, isPlaced, isRead, refusedAtOpen, refusedAtCalls, failures }: Outcome): void {
    const tally = this.byFile.get(one.file)!;
    tally.cases++;
    const what = describe(one);
    for (const failure of failures) this.failures.push(`${what}: ${failure}`);
    const isRefused = refusedAtOpen !== undefined || refusedAtCalls.length > 0;
    if (refusedAtOpen !== undefined) tally.refusedAtOpen++;
    else if (isRefused) tally.refusedAtCalls++;
    else if (!isRead) tally.verified++;
    else if (failures.length === 0) tally.right++;
    for (const code of [refusedAtOpen, ...refusedAtCalls]) if (code !== undefined) tally.codes.add(code);
    if (verify.length === 0 && failures.length === 0) this.addUnseen(one, tally, isRefused);
    else if (!isPlaced)
      this.failures.push(`${what}: verify names neither the file nor a record: ${verify.join(', ')}`);
  }

  private addUnseen(one: Case, tally: FileTally, isRefused: boolean): void {
    tally.unseen++;
    this.unseen.push(one);
    if (isRefused) this.failures.push(`${describe(one)}: refused, but verify calls it sound`);
    else if (!isWithoutMeaning(one)) this.failures.push(`${describe(one)}: verify calls it sound`);
  }
}
