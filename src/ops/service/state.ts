import { exists } from '../../../wal/exists.js';
import { readJournal, type Step } from '../update/journal.js';
import type { Prefix, ServiceNote } from '../update/prefix.js';
import type { ServiceControl } from './control.js';
import { plistPath } from './launchd.js';
import { unitPath } from './systemd.js';

export interface ServiceState {
  readonly name: string;
  readonly manager: ServiceNote['manager'];
  readonly scope: ServiceNote['scope'];
  readonly running: boolean;
  readonly pid?: number;
  /** Of the program that counts. */
  readonly version?: string;
  readonly store: string;
  readonly prefix: string;
  /** By which its manager knows it. */
  readonly file?: string;
  /** How far an update had come that was interrupted, or is under way. */
  readonly interrupted?: Step;
}

export async function serviceState(prefix: Prefix, control: ServiceControl): Promise<ServiceState> {
  const { service, store } = prefix.installation();
  const { name, manager, scope } = service;
  const pid = await control.pid();
  const { current } = prefix;
  const path =
    manager === 'systemd' ? unitPath(service) : manager === 'launchd' ? plistPath(service) : undefined;
  const journal = readJournal(prefix);
  return {
    name,
    manager,
    scope,
    running: await control.isRunning(),
    ...(pid !== undefined && { pid }),
    ...(current !== undefined && { version: prefix.packageVersion(current) }),
    store,
    prefix: prefix.dir,
    ...(path !== undefined && exists(path) && { file: path }),
    ...(journal && { interrupted: journal.step }),
  };
}

/** sd_booted(3): the directory is there where systemd is the first process. */
export const runsSystemd = (): boolean => exists('/run/systemd/system');
