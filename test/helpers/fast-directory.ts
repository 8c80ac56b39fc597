import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';

/** Memory where there is some, for stores that are made by the thousand: their fsyncs prove nothing. */
export function fastDirectory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}
