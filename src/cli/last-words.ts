import type { Logger } from '../log.js';
import { EXIT } from './exit-codes.js';

/** A server that meets an error which nothing expected says so in its log, and ends: its state is unsure. */
export function endOnUnexpected(logger: Logger): void {
  const lastWords = (error: unknown) => {
    logger.fatal({ err: error, code: 'INTERNAL' }, 'unexpected error: the server ends');
    process.exit(EXIT.couldNotRun);
  };
  process.on('uncaughtException', lastWords);
  process.on('unhandledRejection', lastWords);
}
