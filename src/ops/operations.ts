/** What the owner of a store does beside serving it: it measures, keeps to schedules, and tells people. Nothing of it holds a call back. */
import type { Config } from '../config.js';
import type { Engine } from '../domain/face.js';
import type { Logger } from '../log.js';
import type { CallFeed } from './call-feed.js';
import { noteActivity } from './note-activity.js';

export interface OperationsContext {
  readonly engine: Engine;
  readonly config: Config;
  readonly logger: Logger;
  /** Tells of every call of the engine. */
  readonly calls: CallFeed;
}

/** One such work, until it is closed: then nothing of it is under way any more. */
export interface Operation {
  close(): Promise<void>;
}

/** Each is started once the store is open, in this order, and closed in the opposite one, before the store is. */
const PARTS: readonly ((context: OperationsContext) => Promise<Operation>)[] = [noteActivity];

export async function startOperations(context: OperationsContext): Promise<Operation> {
  const started: Operation[] = [];
  for (const start of PARTS) started.push(await start(context));
  return {
    async close() {
      for (const operation of started.toReversed()) await operation.close();
    },
  };
}
