import { isatty } from 'node:tty';
import type { Config } from '../config.js';
import type { OpenLogger } from '../log.js';

const STDIN_FD = 0;

/**
 * Makes SIGHUP mean what logrotate means by it: the log file was put aside, go on in a new one. A terminal that goes away sends the same signal:
 * then the server ends, in order. And says so where texts are logged.
 */
export function reopenOnHangup({ logFile, logTexts }: Config, logger: OpenLogger): void {
  if (logTexts)
    logger.warn('VECTOR_LOG_TEXTS is set: texts of searches are logged, with whatever secrets they hold');
  if (logFile === undefined || process.platform === 'win32') return;
  const hadTerminal = isatty(STDIN_FD);
  process.on('SIGHUP', () => {
    if (hadTerminal && !isatty(STDIN_FD)) process.kill(process.pid, 'SIGTERM');
    else {
      logger.reopen();
      logger.info('the log file was opened anew');
    }
  });
}
