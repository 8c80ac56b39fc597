/** A CPU profile of this process, by V8's sampling profiler. */
import { Session } from 'node:inspector/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../domain/errors.js';
import type { CallContext } from '../domain/face.js';
import type { CpuProfileAnswer, CpuProfileCommand } from '../domain/profile.js';
import { throwIfCancelled } from './cancelled.js';

const MAX_SECONDS = 60;
/** Between two samples: as fine as is of use, and a profile of a minute stays some megabytes. */
const INTERVAL_US = 1000;

let isRunning = false;

/**
 * Watches where the main thread of this process spends its time; worker threads are not seen.
 * @throws CodedError INVALID_ARGUMENT, PROFILE_RUNNING, CANCELLED
 */
export async function profileCpu(
  { seconds }: CpuProfileCommand,
  context: CallContext,
): Promise<CpuProfileAnswer> {
  if (!(seconds >= 0.1 && seconds <= MAX_SECONDS))
    throw new CodedError('INVALID_ARGUMENT', `seconds: ${seconds}`, `Give 0.1 to ${MAX_SECONDS}.`);
  if (isRunning)
    throw new CodedError('PROFILE_RUNNING', 'another CPU profile is being taken', 'Wait for it to end.');
  isRunning = true;
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
    await session.post('Profiler.start');
    await sleep(seconds * 1000, undefined, context.signal && { signal: context.signal }).catch(() => {});
    const { profile } = await session.post('Profiler.stop');
    throwIfCancelled(context);
    return { pid: process.pid, profile: JSON.stringify(profile) };
  } finally {
    session.disconnect();
    isRunning = false;
  }
}
