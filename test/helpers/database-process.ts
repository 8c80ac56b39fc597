/**
 * LevelDB in a child process: on damaged files it can abort, and a writer must be killed in mid-write.
 *
 * The databases are shaped like the event log: 8-byte big-endian keys from 1, no compression, synced batches.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./database-process.mjs', import.meta.url));

interface OpenOptions {
  dir: string;
  /** Bytes; default 65 536, LevelDB's smallest, so that few events make several tables. */
  writeBufferSize?: number;
}

export interface Commands {
  put: OpenOptions & { first: number; last: number; perBatch?: number; version?: number; sizeBytes?: number };
  rewrite: OpenOptions & { seqs: number[]; sizeBytes?: number };
  del: OpenOptions & { first: number; last: number; perBatch?: number };
  compact: OpenOptions & { first: number; last: number };
  read: OpenOptions & { head: number; sizeBytes?: number; rewritten?: number[] };
}

/** What LevelDB shows of events 1..head. */
export interface ReadResult {
  readonly last: number;
  readonly missing: number;
  readonly wrong: number;
  readonly foreign: number;
  /** Events that iteration shows and `get` does not find. */
  readonly getMisses: number;
}

/** The command did not end with an answer: LevelDB refused by an error, or took the process with it. */
export type Failure = { readonly refused: string } | { readonly died: string; readonly opened: boolean };

interface Message {
  acknowledged?: number;
  opened?: boolean;
  done?: ReadResult;
  failed?: string;
}

export class DatabaseProcess {
  /** The last event whose batch LevelDB acknowledged. */
  acknowledged = 0;
  /** Called after each acknowledged batch. */
  onAcknowledged: (() => void) | undefined;
  #child: ChildProcess | undefined;

  /** Runs one command; a new child is started where the last one died. */
  run<C extends keyof Commands>(command: C, args: Commands[C]): Promise<ReadResult | Failure> {
    this.#child ??= fork(CHILD, { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    const child = this.#child;
    return new Promise(resolve => {
      const finish = (answer: ReadResult | Failure) => {
        child.removeAllListeners();
        resolve(answer);
      };
      let opened = false;
      child.on('message', (message: Message) => {
        if (message.acknowledged !== undefined) {
          this.acknowledged = message.acknowledged;
          this.onAcknowledged?.();
        } else if (message.opened === true) opened = true;
        else if (message.done !== undefined) finish(message.done);
        else finish({ refused: message.failed! });
      });
      child.on('exit', (code, signal) => {
        this.#child = undefined;
        finish({ died: signal ?? `exit ${code}`, opened });
      });
      child.send({ command, ...args });
    });
  }

  /** Like run, but anything else than success throws. */
  async must<C extends keyof Commands>(command: C, args: Commands[C]): Promise<ReadResult> {
    const answer = await this.run(command, args);
    if ('last' in answer || !('refused' in answer || 'died' in answer)) return answer as ReadResult;
    throw new Error(`${command}: ${JSON.stringify(answer)}`);
  }

  /** kill -9. */
  kill(): void {
    this.#child?.kill('SIGKILL');
  }
}
