/** The owner's schedules, begun some time after the store was opened: the first call is to be answered before. */
import type { Operation, OperationsContext } from '../operations.js';
import type { Schedules } from './schedules.js';

/** Before it, nothing of their code is loaded unless somebody asks. */
const LOAD_MS = 1_500;

/** Keeps to the times of every job until it is closed. */
export async function startSchedules(context: OperationsContext): Promise<Operation> {
  let opening: Promise<Schedules> | undefined;
  const opened = (): Promise<Schedules> => {
    opening ??= open(context);
    return opening;
  };
  const timer = setTimeout(() => {
    opened().catch(error => context.logger.error({ err: error }, 'no schedule is kept'));
  }, LOAD_MS).unref();
  return {
    face: { schedule: async (command, call) => (await opened()).answer(command, call) },
    async close() {
      clearTimeout(timer);
      // One that could not be opened was told of.
      const schedules = await opening?.catch(() => undefined);
      await schedules?.close();
    },
  };
}

async function open(context: OperationsContext): Promise<Schedules> {
  const { openSchedules } = await import('./schedules.js');
  const schedules = await openSchedules(context);
  schedules.start();
  return schedules;
}
