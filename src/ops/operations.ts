/** What the owner of a store does beside serving it: it measures, keeps to schedules, and tells people. Nothing of it holds a call back. */
import type { Config } from '../config.js';
import { CodedError } from '../domain/errors.js';
import type { Engine, OperationsFace } from '../domain/face.js';
import type { WindowUse } from '../domain/health.js';
import type { Logger } from '../log.js';
import type { CallMeter } from './call-meter.js';
import { startMonitor } from './monitor.js';

export interface OperationsContext {
  /** Not observed: what operations ask is no call of a client. */
  readonly engine: Engine;
  readonly config: Config;
  readonly logger: Logger;
  /** What the calls of all windows take. */
  readonly meter: CallMeter;
  /** The other processes that use the store through this one. */
  readonly windows: () => readonly WindowUse[];
}

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
const PARTS: readonly ((context: OperationsContext) => Promise<Operation>)[] = [startMonitor];

export async function startOperations(context: OperationsContext): Promise<Operations> {
  const started: Operation[] = [];
  for (const start of PARTS) started.push(await start(context));
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

const UNANSWERED: OperationsFace = {
  health: unanswered,
  samples: unanswered,
  capacity: unanswered,
  testAlert: unanswered,
};
