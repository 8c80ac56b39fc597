/**
 * The child of campaign.ts that makes crash states of recordings and opens them, itself under the shim: so its own recoveries can be
 * cut by a power loss as well.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Operation, readJournal } from '../faults/journal.js';
import { shim } from '../faults/shim.js';
import { seeded } from '../helpers/damage.js';
import { describeFate, materialise, pickFate } from './crash-state.js';
import { Disk } from './disk.js';
import { type Examination, Examiner, type Recording } from './examination.js';
import { knowledgeOf, writesOf } from './knowledge.js';

/** A recording, and where the worker may make its states. */
export interface Assignment {
  readonly recording: string;
  readonly isLogAlone: boolean;
  readonly workDir: string;
}

/** One crash state. */
export interface Case {
  /** After how many operations of the journal the power failed. */
  readonly instant: number;
  readonly seed: number;
  /** Also open the whole engine. */
  readonly deep: boolean;
  /** The power fails again while the store is being opened. */
  readonly compound: boolean;
}

export interface Outcome extends Examination {
  readonly what: string;
}

class Bench {
  private readonly operations: readonly Operation[];
  private readonly recording: Recording;
  private readonly recorded: string;
  private disk: Disk;
  private applied = 0;
  private readonly first: string;
  private readonly second: string;

  constructor(private readonly assignment: Assignment) {
    const { recording, workDir } = assignment;
    this.operations = readJournal(join(recording, 'journal'));
    this.recorded = join(recording, 'disk');
    this.recording = {
      writes: writesOf(this.operations),
      hashes: new Set(JSON.parse(readFileSync(join(recording, 'hashes.json'), 'utf8'))),
      isLogAlone: assignment.isLogAlone,
    };
    this.disk = Disk.empty(this.recorded);
    this.first = join(workDir, 'first');
    this.second = join(workDir, 'second');
    mkdirSync(workDir, { recursive: true });
    shim.watch(this.first);
  }

  /** Cases must come by rising instants. */
  async examine({ instant, seed, deep, compound }: Case): Promise<Outcome> {
    while (this.applied < instant) this.disk.apply(this.operations[this.applied++]!);
    const random = seeded(seed);
    const fate = pickFate(random);
    for (const dir of [this.first, this.second]) rmSync(dir, { recursive: true, force: true });
    materialise(this.disk, this.first, fate, random);
    const knowledge = knowledgeOf(this.operations.slice(0, instant));
    const what = `instant ${instant}, seed ${seed} (${describeFate(fate)})`;
    if (!compound) return { what, ...(await Examiner.examine(this.first, this.recording, knowledge, deep)) };

    const journal = join(this.assignment.workDir, 'recovery');
    const recovering = Disk.of(this.first);
    shim.record(journal);
    const once = await Examiner.examine(this.first, this.recording, knowledge, false, shim.stop);
    shim.stop();
    const operations = readJournal(journal);
    const second = Math.floor(random() * (operations.length + 1));
    for (const operation of operations.slice(0, second)) recovering.apply(operation);
    const again = pickFate(random);
    materialise(recovering, this.second, again, random);
    const twice = await Examiner.examine(this.second, this.recording, knowledge, deep);
    return {
      what: `${what}, then instant ${second} of ${operations.length} of its recovery (${describeFate(again)})`,
      failures: [...once.failures, ...twice.failures],
      codes: [...once.codes, ...twice.codes],
    };
  }
}

let bench: Bench;

process.on('message', async (message: { assignment: Assignment } | { case: Case }) => {
  if ('assignment' in message) bench = new Bench(message.assignment);
  else process.send!({ outcome: await bench.examine(message.case) });
});

process.on('disconnect', () => process.exit());
