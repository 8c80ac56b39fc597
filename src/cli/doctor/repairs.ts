/** What doctor mends with --repair: caches, notes, modes and clients' files. Nothing here writes to the log. */
import { chmodSync, existsSync, lstatSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isLiving } from '../../../wal/living.js';
import { storeState } from '../../../wal/open.js';
import { readOwner, takeOwnership } from '../../../wal/owner.js';
import { PATHS } from '../../../wal/paths.js';
import type { Config } from '../../config.js';
import { isCoded } from '../../domain/errors.js';
import { listCheckpoints } from '../../engine/checkpoints.js';
import { rebuildProjections } from '../../engine/rebuild.js';
import { isPrivateDirectory, socketAddress, thisHost } from '../../local/address.js';
import { readSocketNote, removeSocketNote } from '../../local/socket-note.js';
import type { Machine } from '../../paths.js';
import { count } from '../printing.js';
import { CLIENTS } from '../setup/clients.js';
import { configure } from '../setup/configure.js';
import { editFile } from '../setup/edit-file.js';
import { likelyLauncher, serverCommand } from '../setup/server-command.js';
import { filesOf, misdirectedEntries } from './clients.js';
import { openPaths } from './store.js';

/** One thing that can be mended. */
export interface Repair {
  /** What is wrong, and what would be done, as one sentence. */
  readonly what: string;
  /** Does it. @returns what was done, where there is more to say. @throws CodedError, Error of the file system */
  readonly mend: () => Promise<string | undefined> | string | undefined;
}

/**
 * What can be mended of a store and of the clients' files. Nothing is changed yet.
 * @param config undefined where it is wrong: then only clients are looked at
 * @param storeIsSound Whether the look at the store's files found nothing; a checkpoint is built of such a store alone.
 */
export function findRepairs(
  config: Config | undefined,
  storeIsSound: boolean,
  machine: Machine,
  env: NodeJS.ProcessEnv,
): Repair[] {
  const store = config !== undefined && storeState(config.storePath) === 'store' ? config : undefined;
  return [...(store === undefined ? [] : storeRepairs(store, storeIsSound)), ...clientRepairs(machine, env)];
}

function storeRepairs(config: Config, isSound: boolean): Repair[] {
  const { storePath } = config;
  const repairs = [...modeRepairs(storePath), ...socketDirectoryRepairs(storePath)];
  const owner = readOwner(storePath);
  if (owner !== undefined && isLiving(owner)) return repairs;
  const left = [PATHS.ownerNote, PATHS.socketNote].filter(name => existsSync(join(storePath, name)));
  if (left.length > 0) {
    repairs.push({
      what: `${left.join(' and ')} in ${storePath} are of a process that is gone: remove them, and its socket`,
      mend: () => removeLeftovers(storePath),
    });
  }
  if (isSound && listCheckpoints(storePath).length === 0) {
    repairs.push({
      what: `${storePath} has no checkpoint, so every start reads the whole log: build one from it`,
      mend: async () => {
        const { rebuilt } = await rebuildProjections({
          storeDir: storePath,
          indexEngine: config.indexEngine,
        });
        return `checkpoint ${rebuilt!.seq} of ${count(rebuilt!.records, 'event')}`;
      },
    });
  }
  return repairs;
}

/** Whoever holds the lock of the store knows that nobody else has it, so what it removes is nobody's. */
async function removeLeftovers(storePath: string): Promise<undefined> {
  const ownership = await takeOwnership(storePath);
  try {
    const address = addressOf(storePath);
    if (address !== undefined && process.platform !== 'win32') {
      const stat = lstatSync(address, { throwIfNoEntry: false });
      if (stat?.isSocket() === true && isPrivateDirectory(dirname(address), thisHost())) rmSync(address);
    }
    removeSocketNote(storePath);
  } finally {
    await ownership.release();
  }
  return undefined;
}

/** Where the owner listened by its note, else where it would. */
function addressOf(storePath: string): string | undefined {
  try {
    return readSocketNote(storePath)?.address ?? socketAddress(storePath);
  } catch (error) {
    // A note that others may have written names nothing that is to be removed.
    if (isCoded(error)) return undefined;
    throw error;
  }
}

function modeRepairs(storePath: string): Repair[] {
  const open = openPaths(storePath);
  if (!open.includes(storePath)) return [];
  return [
    {
      what: `others may enter ${storePath}: take their rights to it and to ${count(open.length - 1, 'file')} in it`,
      mend: () => {
        for (const path of open) chmodSync(path, lstatSync(path).mode & 0o700);
        return undefined;
      },
    },
  ];
}

function socketDirectoryRepairs(storePath: string): Repair[] {
  const host = thisHost();
  if (host.platform === 'win32') return [];
  const directory = dirname(socketAddress(storePath, host));
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isDirectory() || stat.uid !== host.uid || (stat.mode & 0o077) === 0)
    return [];
  return [
    {
      what: `others may enter ${directory}, where servers listen: take their rights to it`,
      mend: () => {
        chmodSync(directory, 0o700);
        return undefined;
      },
    },
  ];
}

function clientRepairs(machine: Machine, env: NodeJS.ProcessEnv): Repair[] {
  const server = serverCommand(likelyLauncher(), undefined);
  return CLIENTS.flatMap(client => {
    return filesOf(client, machine, env).flatMap(file => {
      try {
        return misdirectedEntries(client, file).map(({ name, missing }) => ({
          what: `${client.title} (${file}) starts "${name}" by ${missing}, which is not there: name ${[server.command, ...server.args].join(' ')}`,
          mend: () => {
            const { backup } = editFile(file, text => configure(client, name, server, text, file), {
              mode: 0o600,
            });
            return backup === undefined ? undefined : `what was there before is in ${backup}`;
          },
        }));
      } catch (error) {
        // What cannot be read is among the findings, and is nothing to write to.
        if (isCoded(error)) return [];
        throw error;
      }
    });
  });
}
