/**
 * The child of campaign.ts: damages a copy of the store, verifies it, opens it and reads everything. LevelDB can take the process
 * with it, so that must not be the process that counts.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { checkRecord } from '#src/engine/check-record.js';
import { inspectCheckpoints } from '#src/engine/checkpoint-checks.js';
import { verifyStore } from '#src/engine/verify.js';
import { PATHS } from '#wal/paths.js';
import { type LogFinding, verifyLog } from '#wal/verify.js';
import { apply, type Case, filesOf, touchedBy } from './cases.js';
import { type Answer, answerOf, type Reading, readAll } from './reading.js';
import { type Ids, openDamageEngine } from './store.js';
import { isWithoutMeaning } from './without-meaning.js';

/** What the worker needs to know, once. */
export interface Assignment {
  readonly store: string;
  /** Earlier states of it: see cases.ts. */
  readonly older: string;
  readonly ids: Ids;
  readonly truth: Reading;
  readonly graphThresholdRows?: number;
  /** A directory of the worker's own. */
  readonly workDir: string;
}

export interface Outcome {
  /** What verify said: codes of findings, the code of its own refusal, or nothing. */
  readonly verify: readonly string[];
  /** Some finding names a damaged file, or a record. */
  readonly isPlaced: boolean;
  /** The store was opened and read as well. */
  readonly isRead: boolean;
  /** Codes of refusals: at the open, and at calls. */
  readonly refusedAtOpen?: string | undefined;
  readonly refusedAtCalls: readonly string[];
  /** Answers that differ from the truth, and errors without a code. */
  readonly failures: readonly string[];
}

let assignment: Assignment;

process.on('message', async (message: { assignment: Assignment } | { case: Case; isRead: boolean }) => {
  if ('assignment' in message) {
    assignment = message.assignment;
    return;
  }
  const { case: one, isRead } = message;
  process.send!({ outcome: (isRead ? undefined : await verifyAlone(one)) ?? (await examine(one)) });
});

/**
 * A flip or a cut in a copy that is mended afterwards: the log and HEAD, or the checkpoints, are verified, whichever has the file; the
 * other part is whole. @returns undefined where the store must be opened to tell: nothing is found, or it is another damage
 */
async function verifyAlone(one: Case): Promise<Outcome | undefined> {
  if (one.damage.kind !== 'flip' && one.damage.kind !== 'truncate') return undefined;
  const outcome = { verify: [], isPlaced: false, isRead: false, refusedAtCalls: [], failures: [] };
  if (isWithoutMeaning(one)) return outcome;
  const copy = join(assignment.workDir, 'mended');
  if (!existsSync(copy)) cpSync(assignment.store, copy, { recursive: true });
  const path = join(copy, one.file);
  const bytes = readFileSync(path);
  apply(copy, assignment.older, one);
  const findings: LogFinding[] = [];
  const answer = await answerOf(async () => {
    if (one.file.startsWith(PATHS.checkpoints)) {
      for (const { seq, problem } of await inspectCheckpoints(copy))
        if (problem !== undefined) findings.push({ code: 'CHECKPOINT_DAMAGED', message: problem, seq });
    } else findings.push(...(await verifyLog(copy, { onRecord: checkRecord })).findings);
  });
  writeFileSync(path, bytes);
  if (!('json' in answer) || findings.length === 0) return undefined;
  return { ...outcome, verify: codesOf(findings), isPlaced: findings.some(f => places(f, one)) };
}

async function examine(one: Case): Promise<Outcome> {
  const copy = join(assignment.workDir, 'store');
  const failures: string[] = [];
  const renew = () => {
    rmSync(copy, { recursive: true, force: true });
    cpSync(assignment.store, copy, { recursive: true });
    apply(copy, assignment.older, one);
  };
  renew();
  const before = digestOf(copy);
  let findings: readonly LogFinding[] = [];
  const answer = await answerOf(async () => {
    ({ findings } = await verifyStore(copy));
  });
  if ('uncoded' in answer) failures.push(`verify: ${answer.uncoded}`);
  if (digestOf(copy) !== before) failures.push('verify changed the store');
  // Verify takes the lock, which mends the lock's own files.
  if (touchedBy(one).some(file => file.startsWith(PATHS.ownerLock))) renew();
  return {
    ...(await openAndRead(copy, failures)),
    verify: 'refused' in answer ? [answer.refused] : codesOf(findings),
    isPlaced: findings.some(finding => places(finding, one)),
    isRead: true,
    failures,
  };
}

const codesOf = (findings: readonly LogFinding[]) => [...new Set(findings.map(({ code }) => code))];

/** Names a file that is damaged, or where the log is. */
const places = ({ seq, file, message }: LogFinding, one: Case) =>
  seq !== undefined ||
  touchedBy(one).some(touched => file === touched || message.includes(basename(touched)));

async function openAndRead(
  copy: string,
  failures: string[],
): Promise<Pick<Outcome, 'refusedAtOpen' | 'refusedAtCalls'>> {
  const refusedAtCalls = new Set<string>();
  const opened = await answerOf(async () => {
    const engine = await openDamageEngine(copy, assignment);
    try {
      const reading = await readAll(engine, assignment.ids);
      for (const [what, right] of Object.entries(assignment.truth)) {
        const found = reading[what];
        if (found !== undefined && 'refused' in found) refusedAtCalls.add(found.refused);
        else if (!isSame(found, right)) failures.push(`${what}: ${JSON.stringify(found)?.slice(0, 300)}`);
      }
    } finally {
      await engine.close();
    }
  });
  if ('uncoded' in opened) failures.push(`open: ${opened.uncoded}`);
  return {
    refusedAtOpen: 'refused' in opened ? opened.refused : undefined,
    refusedAtCalls: [...refusedAtCalls],
  };
}

const isSame = (found: Answer | undefined, right: Answer) =>
  found !== undefined && 'json' in found && 'json' in right && found.json === right.json;

/** Of everything but the lock, which whoever verifies must take. */
/** Of all but the lock, which verify takes, and the note that it leaves. */
function digestOf(store: string): string {
  const hash = createHash('sha256');
  for (const file of filesOf(store))
    if (!file.startsWith(PATHS.ownerLock) && file !== PATHS.verified)
      hash.update(file).update(readFileSync(join(store, file)));
  return hash.digest('hex');
}
