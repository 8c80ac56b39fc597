/**
 * The child of campaign.ts: damages a copy of the store, verifies it, opens it and reads everything. LevelDB can take the process
 * with it, so that must not be the process that counts.
 */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { verifyStore } from '#src/engine/verify.js';
import { PATHS } from '#wal/paths.js';
import { apply, type Case, filesOf } from './cases.js';
import { type Answer, answerOf, type Reading, readAll } from './reading.js';
import { type Ids, openDamageEngine } from './store.js';

/** What the worker needs to know, once. */
export interface Assignment {
  readonly store: string;
  readonly ids: Ids;
  readonly truth: Reading;
  readonly graphThresholdRows?: number;
  /** A directory of the worker's own. */
  readonly workDir: string;
}

export interface Outcome {
  /** Codes of refusals: at the open, and at calls. */
  readonly refusedAtOpen: string | undefined;
  readonly refusedAtCalls: readonly string[];
  /** Answers that differ from the truth, and errors without a code. */
  readonly failures: readonly string[];
  /** What verify said: codes of findings, the code of its own refusal, or nothing. */
  readonly verify: readonly string[];
}

let assignment: Assignment;

process.on('message', async (message: { assignment: Assignment } | { case: Case }) => {
  if ('assignment' in message) assignment = message.assignment;
  else process.send!({ outcome: await examine(message.case) });
});

async function examine(one: Case): Promise<Outcome> {
  const copy = join(assignment.workDir, 'store');
  const failures: string[] = [];
  const renew = () => {
    rmSync(copy, { recursive: true, force: true });
    cpSync(assignment.store, copy, { recursive: true });
    apply(copy, one);
  };
  renew();
  const before = digestOf(copy);
  let verified: readonly string[] = [];
  const answer = await answerOf(async () => {
    verified = [...new Set((await verifyStore(copy)).findings.map(finding => finding.code))];
  });
  if ('refused' in answer) verified = [answer.refused];
  if ('uncoded' in answer) failures.push(`verify: ${answer.uncoded}`);
  if (digestOf(copy) !== before) failures.push('verify changed the store');
  // Verify takes the lock, which mends the lock's own files.
  if (one.file.startsWith(PATHS.ownerLock)) renew();
  return { ...(await openAndRead(copy, failures)), failures, verify: verified };
}

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
function digestOf(store: string): string {
  const hash = createHash('sha256');
  for (const file of filesOf(store))
    if (!file.startsWith(PATHS.ownerLock)) hash.update(file).update(readFileSync(join(store, file)));
  return hash.digest('hex');
}
