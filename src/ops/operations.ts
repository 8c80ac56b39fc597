/** What the owner of a store does beside serving it: it measures, keeps to schedules, and tells people. Nothing of it holds a call back. */
import type { Config } from '../config.js';
import { CodedError } from '../domain/errors.js';
import type { OperationsFace } from '../domain/face.js';
import type { WindowUse } from '../domain/health.js';
import type { StoreEngine } from '../engine/engine.js';
import type { Logger } from '../log.js';
import type { CallFeed } from './call-feed.js';
import { startMonitor } from './monitor.js';
import { noteActivity } from './note-activity.js';
import { noteSettings } from './owner-settings.js';
import { startSchedules } from './schedules/start.js';

export interface OperationsContext {
  /** Not observed: what operations ask is no call of a client. */
  readonly engine: StoreEngine;
  readonly config: Config;
  readonly logger: Logger;
  /** Tells of the calls of all windows. */
  readonly calls: CallFeed;
  /** The other processes that use the store through this one. */
  readonly windows: () => readonly WindowUse[];
  /** The configuration of this program and its clients as backups take it along, without secrets. */
  readonly savedConfig: () => Promise<string>;
}

/** What schedules need of it: a command at a terminal has no calls to tell of. */
export type SchedulesContext = Omit<OperationsContext, 'calls' | 'windows'>;

/** One such work, until it is closed: then nothing of it is under way any more. */
export interface Operation {
  close(): Promise<void>;
  /** What it answers of the engine's face. */
  readonly face?: Partial<OperationsFace>;
}

export interface Operations extends Operation {
  readonly face: OperationsFace;
}

/** Each is started once the store is open, in this order, and closed in the opposite one, before the store is. */
const PARTS: readonly ((context: OperationsContext) => Promise<Operation>)[] = [
  noteSettings,
  noteActivity,
  startMonitor,
  startSchedules,
];

export async function startOperations(context: OperationsContext): Promise<Operations> {
  const started: Operation[] = [];
  for (const start of PARTS) started.push(await start(context));
  context.calls.begun();
  return {
    face: Object.assign({ ...UNANSWERED }, ...started.map(({ face }) => face)),
    async close() {
      for (const operation of started.toReversed()) await operation.close();
    },
  };
}

const unanswered = async (): Promise<never> => {
  throw new CodedError(
    'OPERATIONS_OFF',
    'the server that has the store does not do that',
    'Look into its log for why that part of its operations was not started.',
  );
};

/** What is asked of a part that did not start. */
export const UNANSWERED: OperationsFace = {
  health: unanswered,
  samples: unanswered,
  capacity: unanswered,
  testAlert: unanswered,
  schedule: unanswered,
};
