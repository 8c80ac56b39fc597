/**
 * A worker thread that holds the model. Works on one call at a time, window by window, and reads its messages in
 * between: a query overtakes texts, a cancelled call is dropped.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { isCoded } from '../../domain/errors.js';
import type { Embedded } from '../../domain/model.js';
import { EmbeddedModel } from './model.js';
import type { FromWorker, Request, Results, ToWorker, WorkerSettings } from './protocol.js';

/** A call's work, done a step at a time. */
interface Job {
  readonly id: number;
  readonly steps: Generator<void, Results[keyof Results]>;
}

const port = parentPort!;
const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

/** Calls whose caller waits for a few words; they come first. */
const urgent: Job[] = [];
const patient: Job[] = [];
let running = false;

function start(model: EmbeddedModel): void {
  post({ kind: 'ready', sizeBytes: model.sizeBytes });
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'cancel') {
      for (const queue of [urgent, patient]) {
        const index = queue.findIndex(job => job.id === message.id);
        if (index !== -1) queue.splice(index, 1);
      }
      return;
    }
    const queue = message.kind === 'texts' ? patient : urgent;
    queue.push({ id: message.id, steps: stepsOf(model, message) });
    if (!running) run();
  });
}

/** One step of the first job, then the next when messages have been read. */
function run(): void {
  const queue = urgent.length > 0 ? urgent : patient;
  const job = queue[0];
  running = job !== undefined;
  if (job === undefined) return;
  const step = job.steps.next();
  if (step.done) {
    queue.shift();
    post({ kind: 'done', id: job.id, result: step.value }, buffersOf(step.value));
  }
  setImmediate(run);
}

function* stepsOf(model: EmbeddedModel, request: Request): Generator<void, Results[keyof Results]> {
  switch (request.kind) {
    case 'cut':
      return model.cut(request.text);
    case 'query':
      return yield* model.embedQuery(request.text);
    case 'texts': {
      const answer: Embedded[] = [];
      for (const text of request.texts) answer.push(yield* model.embedText(text));
      return answer;
    }
  }
}

/** The buffers of a result's vectors, to be handed over rather than copied. */
function buffersOf(result: Results[keyof Results]): ArrayBuffer[] {
  if (result instanceof Float32Array) return [result.buffer as ArrayBuffer];
  return (result as Embedded[]).flatMap(item =>
    'vectors' in item ? [item.vectors.buffer as ArrayBuffer] : [],
  );
}

try {
  start(new EmbeddedModel(workerData as WorkerSettings));
} catch (error) {
  if (!isCoded(error)) throw error;
  post({ kind: 'failed', message: error.message, wayOut: error.wayOut });
}
