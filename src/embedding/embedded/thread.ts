import { Worker } from 'node:worker_threads';
import { CodedError } from '../../domain/errors.js';
import type { FromWorker, Request, Results, WorkerSettings } from './protocol.js';

type WithoutId<R> = R extends Request ? Omit<R, 'id'> : never;
type Call = WithoutId<Request>;

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  /** Takes the abort listener off the caller's signal. */
  readonly release: () => void;
}

/** Heap of the worker; the model itself lives outside it. Small, so that garbage does not pile up before it is collected. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 192, maxYoungGenerationSizeMb: 4 };

/**
 * A worker thread that holds the model, seen from outside: started by the first call, started again by the next call
 * after it died, and holding the process open only while calls are pending.
 */
export class ModelThread {
  #worker: Worker | undefined;
  #state = 'not loaded';
  #closed = false;
  #lastId = 0;
  readonly #pending = new Map<number, Pending>();

  constructor(private readonly settings: () => WorkerSettings) {}

  /** `not loaded`, `loading`, `ready (37 MB)`, `died: …`, `closed`. */
  state(): string {
    return this.#state;
  }

  /** Calls sent and not answered yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** @throws CodedError MODEL_DAMAGED, EMBEDDER_UNAVAILABLE (the worker died or was closed), CANCELLED */
  async call<C extends Call>(call: C, signal?: AbortSignal): Promise<Results[C['kind']]> {
    if (signal?.aborted) throw cancelled();
    if (this.#closed) throw unavailable('it is closed', 'Open the store again.');
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const abort = () => {
        worker.postMessage({ kind: 'cancel', id });
        this.#take(id)?.reject(cancelled());
      };
      signal?.addEventListener('abort', abort, { once: true });
      const release = () => signal?.removeEventListener('abort', abort);
      this.#pending.set(id, { resolve, reject, release });
      worker.ref();
      worker.postMessage({ ...call, id });
    });
  }

  /** Ends the worker; pending calls are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#state = 'closed';
    const worker = this.#worker;
    this.#worker = undefined;
    this.#rejectAll(unavailable('it was closed', 'Open the store again.'));
    await worker?.terminate();
  }

  #start(): Worker {
    // stdout belongs to MCP: what the worker would print there stays in its stream, unread, since reading it would keep
    // the process alive.
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: this.settings(),
      execArgv: [],
      stdout: true,
      resourceLimits: RESOURCE_LIMITS,
    });
    worker.unref();
    this.#state = 'loading';
    let cause: Error | undefined;
    worker.on('message', (message: FromWorker) => this.#receive(worker, message));
    worker.on('error', error => {
      cause = error;
    });
    worker.on('exit', code => this.#died(worker, cause ?? new Error(`the worker ended with code ${code}`)));
    return worker;
  }

  #receive(worker: Worker, message: FromWorker): void {
    if (worker !== this.#worker) return;
    if (message.kind === 'ready') {
      this.#state = `ready (${Math.round(message.sizeBytes / 1e6)} MB)`;
    } else if (message.kind === 'failed') {
      this.#worker = undefined;
      this.#state = `failed: ${message.message}`;
      this.#rejectAll(new CodedError('MODEL_DAMAGED', message.message, message.wayOut));
    } else {
      this.#take(message.id)?.resolve(message.result as never);
    }
  }

  #died(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#worker = undefined;
    this.#state = `died: ${cause.message}`;
    this.#rejectAll(
      unavailable(`its thread died: ${cause.message}`, 'Call again: the thread is started anew.', cause),
    );
  }

  #rejectAll(error: CodedError): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(error);
  }

  /** Ends a call's waiting; undefined where it was cancelled before. */
  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.release();
    if (this.#pending.size === 0) this.#worker?.unref();
    return pending;
  }
}

/** The answer to a call whose signal aborted. */
export function cancelled(): CodedError {
  return new CodedError(
    'CANCELLED',
    'The embedding was cancelled.',
    'Call again if the vectors are still wanted.',
  );
}

/** The answer to a call that no thread will work on, and why. */
export function unavailable(reason: string, wayOut: string, cause?: Error): CodedError {
  return new CodedError('EMBEDDER_UNAVAILABLE', `The embedded model is unavailable: ${reason}.`, wayOut, {
    cause,
  });
}
