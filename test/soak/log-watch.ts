/** The log as `logs --follow` tells it, across rotations: its errors, its warnings, and which jobs ran. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { MAIN } from './clients.js';
import { ENDS_IN_ORDER } from './server.js';
import type { Tally } from './tally.js';

const WARN = 40;
const ERROR = 50;
const SHOWN_CHARS = 400;

interface Line {
  readonly level?: number;
  readonly msg?: string;
  readonly code?: string;
  readonly job?: string;
  readonly outcome?: string;
}

export class LogWatch {
  lines = 0;
  /** Warnings, with their numbers left out, and how often. */
  readonly warnings = new Map<string, number>();
  /** Runs that ended, by job. */
  readonly jobRuns = new Map<string, number>();
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  constructor(env: Record<string, string>, tally: Tally) {
    this.child = spawn(process.execPath, [MAIN, 'logs', '--follow', '--json', '--lines', '100000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH ?? '', ...env },
    });
    const kill = () => this.child.kill('SIGKILL');
    process.once('exit', kill);
    this.ended = new Promise(resolve =>
      this.child.once('close', code => {
        process.off('exit', kill);
        if (ENDS_IN_ORDER && code !== 0) tally.fail(`logs --follow ended with ${code}`);
        resolve();
      }),
    );
    createInterface({ input: this.child.stdout! }).on('line', text => this.take(text, tally));
  }

  async close(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended;
  }

  private take(text: string, tally: Tally): void {
    this.lines++;
    const { level = 0, msg = '', code = '', job, outcome } = JSON.parse(text) as Line;
    if (level >= ERROR) tally.fail(`the log: ${text.slice(0, SHOWN_CHARS)}`);
    else if (level >= WARN) {
      const what = `${code} ${msg}`.trim().replaceAll(/\d+(\.\d+)?/g, 'N');
      this.warnings.set(what, (this.warnings.get(what) ?? 0) + 1);
    }
    if (job !== undefined && outcome !== undefined) this.jobRuns.set(job, (this.jobRuns.get(job) ?? 0) + 1);
  }
}
