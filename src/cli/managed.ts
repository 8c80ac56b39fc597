/** Finding the managed installation that a command is about, and what updates need of this process. */

import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { WalError } from '../../wal/errors.js';
import { exists } from '../../wal/exists.js';
import { controlOf, NOBODY, type ServiceControl } from '../ops/service/control.js';
import { type StoreUser, usersOf } from '../ops/service/processes.js';
import { notManaged, Prefix, prefixOf } from '../ops/update/prefix.js';
import type { TransitionDeps } from '../ops/update/transition.js';
import { defaultStorePath } from '../paths.js';
import type { Call } from './command.js';
import { contextOf, withEngine } from './engine.js';
import { findInstallation, type Installation } from './installation.js';

export const SYSTEM_PREFIX = '/var/lib/mcp-vector-server';

/** Beside the default store. */
export const userPrefix = (): string =>
  join(
    dirname(
      defaultStorePath(process.env, { platform: process.platform, home: homedir(), cwd: process.cwd() }),
    ),
    'service',
  );

/**
 * The installation of --prefix, else the one that this program belongs to, else the user's, else the system's.
 * @throws CodedError UPDATE_NOT_MANAGED with what to type for the way this program was installed
 */
export function managedPrefix(call: Pick<Call, 'text'>): Prefix {
  const given = call.text('prefix');
  if (given !== undefined) {
    const prefix = new Prefix(resolve(given));
    prefix.installation();
    return prefix;
  }
  const own = findInstallation();
  const prefix = prefixOf(own.packageRoot);
  if (prefix !== undefined) return prefix;
  for (const dir of [userPrefix(), SYSTEM_PREFIX])
    if (exists(join(dir, 'installation.json'))) return new Prefix(dir);
  throw notManaged(`there is no installation that this program updates. ${otherWay(own)}`);
}

/** What brings a newer version of a program, by how this one was installed. */
export function otherWay({ kind, npmRoot, packageRoot }: Installation): string {
  if (exists(join(packageRoot, 'manifest.json')) && kind === 'checkout')
    return 'This one came as a bundle (.mcpb): install the new bundle by a double click';
  return {
    checkout: `This one runs from ${npmRoot}: git pull && npm ci there`,
    npx: 'This one came by npx, which takes the newest version where the line names it: npx -y mcp-vector-server@latest',
    global: 'This one was installed globally: npm install -g mcp-vector-server@latest',
    managed: 'To go to it: mcp-vector-server update --apply',
    project: `This one is a dependency of ${npmRoot}: npm install mcp-vector-server@latest there`,
  }[kind];
}

/** In place of this process' own variables: the service's. */
export function useSettings(prefix: Prefix): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('VECTOR_')) delete process.env[name];
  Object.assign(process.env, prefix.settings(), {
    VECTOR_DB_PATH: prefix.installation().store,
    VECTOR_LOG_FILE: '',
    VECTOR_LOG_LEVEL: 'warn',
  });
}

/** @param control in place of the machine's */
export function transitionDeps(prefix: Prefix, control?: ServiceControl): TransitionDeps {
  const { service, store } = prefix.installation();
  const used = control ?? controlOf(prefix, service);
  return {
    prefix,
    control: used,
    backUp: to =>
      withEngine({ text: name => (name === 'store' ? store : undefined) }, { create: false }, engine =>
        engine.backup({ to }, contextOf('update')),
      ),
    async assertUnused() {
      const served = await used.pid();
      const others = usersOf(store, [process.pid, ...(served === undefined ? [] : [served])]);
      if (others.length > 0) throw inUse(store, others);
    },
  };
}

export const nobody = NOBODY;

function inUse(store: string, users: readonly StoreUser[]): WalError {
  const named = users.map(({ pid, role, command }) => `${pid} (${command}, ${role})`).join(', ');
  return new WalError(
    'STORE_IN_USE',
    `${store} is used by other processes than the service: ${named}`,
    'Close the editor windows that they belong to, or end them (kill PID), then repeat it. An editor starts its server again when it needs it.',
    { details: { users } },
  );
}
