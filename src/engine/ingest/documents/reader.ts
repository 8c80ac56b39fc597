import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { DocumentFormat, DocumentText } from './document.js';
import { maxProcessBytes, maxReadMs } from './limits.js';

/** parent -> child. */
export interface ReadRequest {
  readonly format: DocumentFormat;
  readonly bytes: Uint8Array;
  /** What the child may take of the memory, in bytes. */
  readonly processBytes: number;
}

/** child -> parent. */
export type ReadAnswer =
  | { readonly kind: 'text'; readonly document: DocumentText }
  | { readonly kind: 'refused'; readonly reason: string };

/** Why a document was not read; `uncertain`: it may well be another time, or on another machine. */
export interface Unread {
  readonly kind: 'refused';
  readonly reason: string;
  readonly uncertain: boolean;
}

/** The child's exit code where it took too much memory. */
export const MEMORY_EXIT_CODE = 9;

const cancelled: Unread = { kind: 'refused', reason: 'cancelled', uncertain: true };

/**
 * Takes texts out of HTML, PDF and DOCX in a process of its own: a parser of such files may loop, grow without end or crash on a hostile one, and then only
 * that process is lost. It is started with the first document and serves until close().
 */
export class DocumentReader {
  private child: ChildProcess | undefined;

  private readonly readMs: number;
  private readonly processBytes: number;

  /** Limits of one document's time and of the process's memory; the defaults are those of limits.ts. */
  constructor({ readMs = maxReadMs, processBytes = maxProcessBytes } = {}) {
    this.readMs = readMs;
    this.processBytes = processBytes;
  }

  /** One document at a time. Once `signal` is aborted there is no text: whoever aborted it says what that means. */
  async read(
    format: DocumentFormat,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ readonly kind: 'text'; readonly document: DocumentText } | Unread> {
    if (signal?.aborted === true) return cancelled;
    this.child ??= this.start();
    const answer = await this.ask(this.child, { format, bytes, processBytes: this.processBytes }, signal);
    if (answer.kind === 'text') return answer;
    if (!('uncertain' in answer)) return { ...answer, uncertain: false };
    this.close();
    return answer;
  }

  /** Of the process that reads; undefined where none runs. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Ends the process. The next document would start another. */
  close(): void {
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }

  private start(): ChildProcess {
    const child = fork(fileURLToPath(new URL('./reader-process.js', import.meta.url)), {
      execArgv: [],
      serialization: 'advanced',
      // Nothing but answers over the channel may come from it: stdout is the client's.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Keys stand in the environment, and a parser of strangers' files needs none of it but what starts Node.
      env: { SystemRoot: process.env.SystemRoot, ELECTRON_RUN_AS_NODE: process.env.ELECTRON_RUN_AS_NODE },
    });
    child.once('exit', () => {
      if (this.child === child) this.child = undefined;
    });
    return child;
  }

  private ask(
    child: ChildProcess,
    request: ReadRequest,
    signal: AbortSignal | undefined,
  ): Promise<ReadAnswer | Unread> {
    return new Promise((resolve, reject) => {
      const gaveUp = (reason: string): void =>
        settle(() => resolve({ kind: 'refused', reason, uncertain: true }));
      const timer = setTimeout(
        () => gaveUp(`not read within ${this.readMs / 1000} s: split it, or save it in a simpler form`),
        this.readMs,
      );
      const onMessage = (answer: ReadAnswer): void => settle(() => resolve(answer));
      const onClose = (code: number | null, end: NodeJS.Signals | null): void =>
        gaveUp(
          code === MEMORY_EXIT_CODE
            ? `it takes more than ${this.processBytes / 1024 / 1024} MiB of memory to read: split it`
            : `the process that read it ended (${end ?? `exit code ${code}`}): save it in a simpler form`,
        );
      const onAbort = (): void => settle(() => resolve(cancelled));
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        child.off('message', onMessage);
        child.off('close', onClose);
        child.off('error', reject);
        signal?.removeEventListener('abort', onAbort);
        then();
      };
      child.once('message', onMessage);
      child.once('close', onClose);
      child.once('error', reject);
      signal?.addEventListener('abort', onAbort, { once: true });
      child.send(request, error => {
        // Its end says why.
        if (error) child.kill('SIGKILL');
      });
    });
  }
}
