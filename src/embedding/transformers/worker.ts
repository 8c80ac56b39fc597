/** The thread that holds a model of transformers.js: its network runs synchronously. */
import { basename, dirname } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerSettings } from './thread.js';

/** What is used of the library. */
export interface Library {
  readonly env: {
    allowRemoteModels: boolean;
    allowLocalModels: boolean;
    localModelPath: string;
    remoteHost: string;
    cacheDir: string | null;
    useFSCache: boolean;
    logLevel: number;
  };
  pipeline(
    task: 'feature-extraction',
    model: string,
    options: { readonly dtype: string; readonly device: 'cpu'; readonly local_files_only: boolean },
  ): Promise<Extractor>;
}
interface Extractor {
  (
    texts: string[],
    options: { pooling: string; normalize: boolean },
  ): Promise<{
    readonly dims: readonly number[];
    readonly data: ArrayLike<number>;
  }>;
  dispose(): Promise<unknown>;
}

/** LogLevel.NONE: what it has to say of a model, its errors say too. */
const SILENT = 50;

const port = parentPort!;
const post = (message: FromWorker): void => port.postMessage(message);
const { library, job } = workerData as WorkerSettings;

let stage: 'library' | 'download' | 'model' = 'library';
try {
  const { env, pipeline } = (await import(library)) as Library;
  env.logLevel = SILENT;
  env.useFSCache = true;
  if (job.kind === 'download') {
    stage = 'download';
    env.allowRemoteModels = true;
    env.remoteHost = job.host;
    env.cacheDir = job.cacheDirectory;
    const fetched = await pipeline('feature-extraction', job.model, {
      dtype: 'fp32',
      device: 'cpu',
      local_files_only: false,
    });
    await fetched.dispose();
    post({ kind: 'downloaded' });
  } else {
    stage = 'model';
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    env.localModelPath = dirname(job.directory);
    const extract = await pipeline('feature-extraction', basename(job.directory), {
      dtype: job.precision,
      device: 'cpu',
      local_files_only: true,
    });
    post({ kind: 'ready' });
    serve(extract, job.pooling);
  }
} catch (error) {
  const isMissing = stage === 'library' && (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
  post({ kind: 'failed', stage: isMissing ? 'missing' : stage, message: firstLine(error) });
}

/** One text after the other: the bits of a vector must not depend on what is embedded beside it. */
function serve(extract: Extractor, pooling: string): void {
  let last = Promise.resolve();
  port.on('message', ({ id, texts }: ToWorker) => {
    last = last.then(async () => {
      try {
        const vectors: Float64Array[] = [];
        for (const text of texts) {
          const { data } = await extract([text], { pooling, normalize: false });
          vectors.push(Float64Array.from(data));
        }
        post({ kind: 'vectors', id, vectors });
      } catch (error) {
        post({ kind: 'rejected', id, message: firstLine(error) });
      }
    });
  });
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]!.slice(0, 300);
}
