import { Activity } from './activity.js';
import type { CallRecord } from './call-feed.js';
import type { Operation, OperationsContext } from './operations.js';
import { noteSlowQuery, slowQueryOf } from './slow-queries.js';

/** How often what was asked is written. */
const SAVE_MS = 60_000;
/** How often it is told that this fails. */
const TELL_MS = 3_600_000;

/** Notes in <store>/ops what is asked of the store, and what took too long. A disk that is full costs the notes, and no call. */
export async function noteActivity({
  config,
  logger,
  calls,
}: Pick<OperationsContext, 'config' | 'logger' | 'calls'>): Promise<Operation> {
  const { storePath, slowQueryMs, logTexts } = config;
  let toldMs = Number.NEGATIVE_INFINITY;
  const failed = (error: unknown) => {
    if (performance.now() - toldMs < TELL_MS) return;
    toldMs = performance.now();
    logger.warn({ err: error }, 'what is asked of the store could not be noted in its directory ops');
  };
  const activity = new Activity(storePath, path =>
    logger.warn({ file: path }, 'a file of ops is damaged: it was set aside, and begins anew'),
  );
  const onCall = (call: CallRecord) => {
    activity.add(call);
    const slow = slowQueryOf(call, slowQueryMs, logTexts);
    if (slow === undefined) return;
    const { time, level, ...fields } = slow;
    logger[level === 'error' ? 'error' : 'warn']({ ...fields, slow: level }, 'slow search');
    try {
      noteSlowQuery(storePath, slow);
    } catch (error) {
      failed(error);
    }
  };
  const end = calls.subscribe(onCall);
  let saving = Promise.resolve();
  const save = () => {
    saving = saving.then(() => activity.save()).catch(failed);
    return saving;
  };
  const timer = setInterval(save, SAVE_MS).unref();
  return {
    async close() {
      clearInterval(timer);
      end();
      await save();
    },
  };
}
