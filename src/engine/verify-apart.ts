import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { WalError, type WalErrorCode } from '../../wal/errors.js';
import { CodedError } from '../domain/errors.js';
import type { Progress } from '../domain/face.js';
import type { VerifyOptions, VerifyReport } from './verify.js';

/** parent -> child. */
export interface VerifyRequest {
  readonly storeDir: string;
  readonly options: Omit<VerifyOptions, 'onProgress'>;
}

/** child -> parent. */
export type VerifyMessage =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'report'; readonly report: VerifyReport }
  | {
      readonly type: 'error';
      readonly error: { readonly code: WalErrorCode; readonly message: string; readonly wayOut: string };
    };

export interface VerifyApartOptions extends VerifyOptions {
  /** For tests: the module that the child runs. */
  readonly childUrl?: URL;
  /** Told of the child once it runs. */
  readonly onStarted?: (pid: number) => void;
}

/**
 * As verifyStore, in a process of its own: what makes native code end it cannot take the caller along.
 * @throws as verifyStore; CodedError VERIFY_DIED when the process ended without a report, with what it was doing
 */
export function verifyApart(
  storeDir: string,
  {
    onProgress,
    onStarted,
    childUrl = new URL('./verify-process.js', import.meta.url),
    ...options
  }: VerifyApartOptions = {},
): Promise<VerifyReport> {
  const child = fork(fileURLToPath(childUrl), { execArgv: [], serialization: 'advanced' });
  if (child.pid !== undefined) onStarted?.(child.pid);
  let doing = 'starting';
  return new Promise((resolve, reject) => {
    let outcome: (() => void) | undefined;
    child.on('message', (message: VerifyMessage) => {
      if (message.type === 'progress') {
        doing = message.progress.message;
        onProgress?.(message.progress);
      } else if (message.type === 'report') outcome = () => resolve(message.report);
      else outcome = () => reject(errorOf(message));
    });
    child.once('error', reject);
    // Not 'exit': messages may still be on their way then.
    child.once('close', (code, signal) => {
      if (outcome !== undefined) outcome();
      else reject(died(signal ?? `exit code ${code}`, doing));
    });
    // Where it does not arrive, the child's end says why.
    child.send({ storeDir, options } satisfies VerifyRequest, () => {});
  });
}

const errorOf = ({ error: { code, message, wayOut } }: VerifyMessage & { type: 'error' }): WalError =>
  new WalError(code, message, wayOut);

const died = (how: string, doing: string): CodedError =>
  new CodedError(
    'VERIFY_DIED',
    `the process that verified ended without a report (${how}); it was ${doing}`,
    'Nothing of the store was changed. If it was killed for its memory, verify with --quick; else keep a copy of the store, and report this.',
    { details: { how, doing } },
  );
