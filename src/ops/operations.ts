/** What the owner of a store does beside serving it: it measures, keeps to schedules, and tells people. Nothing of it holds a call back. */
import type { Config } from '../config.js';
import type { OwnersWork, StoreEngine } from '../engine/engine.js';
import type { Logger } from '../log.js';
import type { CallFeed } from './call-feed.js';
import { noteActivity } from './note-activity.js';
import { startSchedules } from './schedules/start.js';

export interface OperationsContext {
  readonly engine: StoreEngine;
  readonly config: Config;
  readonly logger: Logger;
  /** Tells of every call of the engine. */
  readonly calls: CallFeed;
  /** The configuration of this program and its clients as backups take it along, without secrets. */
  readonly savedConfig: () => Promise<string>;
}

/** What schedules need of it: a command at a terminal has no calls to tell of. */
export type SchedulesContext = Omit<OperationsContext, 'calls'>;

/** One such work, until it is closed: then nothing of it is under way any more. */
export interface Operation {
  close(): Promise<void>;
  /** What it answers to whoever asks the engine. */
  readonly face?: Partial<OwnersWork>;
}

/** All of them. */
export interface Operations extends OwnersWork {
  close(): Promise<void>;
}

/** Each is started once the store is open, in this order, and closed in the opposite one, before the store is. */
const PARTS: readonly ((context: OperationsContext) => Promise<Operation>)[] = [noteActivity, startSchedules];

export async function startOperations(context: OperationsContext): Promise<Operations> {
  const started: Operation[] = [];
  for (const start of PARTS) started.push(await start(context));
  return {
    ...(Object.assign({}, ...started.map(({ face }) => face)) as OwnersWork),
    async close() {
      for (const operation of started.toReversed()) await operation.close();
    },
  };
}
