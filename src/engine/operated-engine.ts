import type { CapacityAnswer, CapacityQuery } from '../domain/capacity.js';
import { CodedError } from '../domain/errors.js';
import type { CallContext, OperationsFace } from '../domain/face.js';
import type {
  AlertTestAnswer,
  HealthAnswer,
  HealthQuery,
  SamplesAnswer,
  SamplesQuery,
} from '../domain/health.js';
import type { ScheduleAnswer, ScheduleCommand } from '../domain/schedule.js';

/** The half of the engine's face that the owner's operations answer, which are started beside it: see src/ops. */
export abstract class OperatedEngine implements OperationsFace {
  private operations: () => Promise<OperationsFace | undefined> = async () => undefined;

  /** @throws CodedError ENGINE_CLOSED once closing has begun */
  protected abstract assertOpen(): void;

  /** From now on operations answer what they know. @param operations resolves to undefined where they could not be started */
  operate(operations: () => Promise<OperationsFace | undefined>): void {
    this.operations = operations;
  }

  schedule(command: ScheduleCommand, context: CallContext): Promise<ScheduleAnswer> {
    return this.operated('schedule', command, context);
  }

  health(query: HealthQuery, context: CallContext): Promise<HealthAnswer> {
    return this.operated('health', query, context);
  }

  samples(query: SamplesQuery, context: CallContext): Promise<SamplesAnswer> {
    return this.operated('samples', query, context);
  }

  capacity(query: CapacityQuery, context: CallContext): Promise<CapacityAnswer> {
    return this.operated('capacity', query, context);
  }

  testAlert(command: object, context: CallContext): Promise<AlertTestAnswer> {
    return this.operated('testAlert', command, context);
  }

  /** Not once the log reads again: what stands in the way is what they tell. */
  private async operated<M extends keyof OperationsFace>(
    method: M,
    query: object,
    context: CallContext,
  ): Promise<Awaited<ReturnType<OperationsFace[M]>>> {
    this.assertOpen();
    const operations = await this.operations();
    if (operations === undefined) throw operationsOff();
    type Method = (query: object, context: CallContext) => ReturnType<OperationsFace[M]>;
    return await (operations[method] as Method).call(operations, query, context);
  }
}

const operationsOff = (): CodedError =>
  new CodedError(
    'OPERATIONS_OFF',
    'the process that has the store runs no operations: it is a command, or they could not be started',
    'Run the command again once that process has ended; of a server look into its log.',
  );
