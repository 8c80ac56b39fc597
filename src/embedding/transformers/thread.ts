import { Worker } from 'node:worker_threads';
import { CodedError } from '../../domain/errors.js';
import type { Pooling, Precision } from './model-files.js';

/** What a thread is started for. */
export type Job =
  | {
      readonly kind: 'serve';
      readonly directory: string;
      readonly precision: Precision;
      readonly pooling: Pooling;
    }
  | {
      readonly kind: 'download';
      readonly model: string;
      readonly host: string;
      readonly cacheDirectory: string;
    };

export interface WorkerSettings {
  /** What is imported for transformers.js: its name, or for tests an URL. */
  readonly library: string;
  readonly job: Job;
}

export interface ToWorker {
  readonly id: number;
  readonly texts: readonly string[];
}

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'downloaded' }
  /** `missing`: the library is not installed; else what failed. The thread ends. */
  | {
      readonly kind: 'failed';
      readonly stage: 'missing' | 'library' | 'download' | 'model';
      readonly message: string;
    }
  | { readonly kind: 'vectors'; readonly id: number; readonly vectors: readonly Float64Array[] }
  | { readonly kind: 'rejected'; readonly id: number; readonly message: string };

interface Pending {
  readonly resolve: (vectors: Float64Array[]) => void;
  readonly reject: (error: Error) => void;
}

/** A thread that serves one model, until it is closed or dies. Holds the process open only while calls are pending. */
export class ModelThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #ended: CodedError | undefined;
  readonly #ready: Promise<void>;

  /** @param onEnd Called once when it serves no longer. */
  constructor(settings: WorkerSettings, onEnd: () => void) {
    // stdout belongs to MCP.
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: settings,
      execArgv: [],
      stdout: true,
    });
    this.#ready = new Promise((resolve, reject) => {
      const end = (error: CodedError): void => {
        if (this.#ended !== undefined) return;
        this.#ended = error;
        reject(error);
        for (const { reject: rejectCall } of this.#pending.values()) rejectCall(error);
        this.#pending.clear();
        void this.#worker.terminate();
        onEnd();
      };
      this.#worker.on('message', (message: FromWorker) => {
        if (message.kind === 'ready' || message.kind === 'downloaded') resolve();
        else if (message.kind === 'failed') end(failure(settings, message.stage, message.message));
        else this.#settle(message);
        if (this.#pending.size === 0 && message.kind !== 'failed') this.#worker.unref();
      });
      this.#worker.on('error', error => end(died(error.message)));
      this.#worker.on('exit', code => end(died(`it ended with code ${code}`)));
    });
    this.#ready.catch(() => {});
  }

  /** Resolves once the model is loaded, or for a download once it is there. @throws CodedError TRANSFORMERS_MISSING, MODEL_*, EMBEDDER_* */
  ready(): Promise<void> {
    return this.#ready;
  }

  /** One vector for each text. @throws CodedError as ready(); EMBEDDER_REJECTED; what `signal` aborts with */
  async embed(texts: readonly string[], signal: AbortSignal): Promise<Float64Array[]> {
    this.#worker.ref();
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#pending.delete(id);
        if (this.#pending.size === 0) this.#worker.unref();
        reject(
          new CodedError('CANCELLED', 'The embedding was cancelled', 'Call again if the vectors are wanted.'),
        );
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const release = <T>(then: (value: T) => void) => {
        return (value: T): void => {
          signal.removeEventListener('abort', onAbort);
          then(value);
        };
      };
      this.#pending.set(id, { resolve: release(resolve), reject: release(reject) });
      this.#worker.postMessage({ id, texts } satisfies ToWorker);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(message: Extract<FromWorker, { readonly id: number }>): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === 'vectors') pending?.resolve([...message.vectors]);
    else
      pending?.reject(
        new CodedError(
          'EMBEDDER_REJECTED',
          `the model refused a text: ${message.message}`,
          'Check that it is a model for embeddings of text.',
        ),
      );
  }
}

function failure(
  { job }: WorkerSettings,
  stage: (FromWorker & { kind: 'failed' })['stage'],
  message: string,
): CodedError {
  if (stage === 'missing')
    return new CodedError(
      'TRANSFORMERS_MISSING',
      '@huggingface/transformers, which VECTOR_EMBEDDER=transformers runs on, is not installed',
      'Install it beside this package (npm install -g mcp-vector-server @huggingface/transformers, or in the project that has it), or run both by npx -y -p mcp-vector-server -p @huggingface/transformers mcp-vector-server.',
    );
  if (stage === 'library')
    return new CodedError(
      'TRANSFORMERS_MISSING',
      `@huggingface/transformers cannot be loaded: ${message}`,
      'Install it again, with its optional and native parts.',
    );
  if (job.kind === 'download')
    return new CodedError(
      'EMBEDDER_UNAVAILABLE',
      `the model ${JSON.stringify(job.model)} cannot be downloaded from ${job.host}: ${message}`,
      'Check the name and the network, or put its files into a directory and name that in VECTOR_EMBEDDER_MODEL.',
    );
  return new CodedError(
    'MODEL_DAMAGED',
    `the model in ${job.directory} cannot be loaded: ${message}`,
    'Get its files anew; it must be one for feature extraction, in ONNX.',
  );
}

const died = (how: string): CodedError =>
  new CodedError(
    'EMBEDDER_UNAVAILABLE',
    `the thread of the model died: ${how}`,
    'Call again: it is started anew.',
  );
