/** Starting the operator's program with an alert on its stdin. No shell has a part in it. */
import { execFile } from 'node:child_process';
import { CodedError } from '../domain/errors.js';

/** Of what it writes: it is not read, and no more is held. */
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * @param command an absolute path, and its arguments
 * @param ending aborted when nothing may be waited for any more
 * @throws CodedError ALERT_TIMEOUT, ALERT_COMMAND_FAILED
 */
export async function runAlertCommand(
  [file, ...args]: readonly string[],
  body: string,
  timeoutMs: number,
  ending?: AbortSignal,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = execFile(
      file!,
      args,
      {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_OUTPUT_BYTES,
        shell: false,
        ...(ending && { signal: ending }),
        windowsHide: true,
        // Settings of ours, and keys among them, are none of its business.
        env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name))),
      },
      error => {
        if (error === null) resolve();
        else
          reject(child.killed && !ending?.aborted && !isTooLong(error) ? timedOut(timeoutMs) : failed(error));
      },
    );
    // A program that does not read what it is told may all the same succeed.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(body);
  });
}

const isTooLong = ({ code }: { code?: unknown }) => code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER';

const isOurs = (name: string): boolean => name.startsWith('VECTOR_') || name === 'OPENAI_API_KEY';

const timedOut = (ms: number) =>
  new CodedError(
    'ALERT_TIMEOUT',
    `the alert command did not end within ${ms} ms, and was killed`,
    'Let it hand the alert over and end. It is tried again at the next sample.',
  );

function failed(error: Error & { code?: unknown; signal?: unknown }): CodedError {
  const how =
    typeof error.code === 'number'
      ? `ended with ${error.code}`
      : isTooLong(error)
        ? 'wrote more than 64 KiB'
        : typeof error.signal === 'string'
          ? `was ended by ${error.signal}`
          : `could not be started: ${String(error.code ?? error.name)}`;
  return new CodedError(
    'ALERT_COMMAND_FAILED',
    `the alert command ${how}`,
    'Try it at a terminal with the alert of docs/health.md on its stdin. It is tried again at the next sample.',
  );
}
