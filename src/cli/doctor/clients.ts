import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { isCoded } from '../../domain/errors.js';
import type { Machine } from '../../paths.js';
import { CLIENTS, type Client } from '../setup/clients.js';
import { isConfigured, ownEntries } from '../setup/configure.js';
import { type Finding, fail, ok, warn } from './finding.js';

/** Which clients know the server, by the user's files and by those of the project in the working directory. */
export function checkClients(machine: Machine, env: NodeJS.ProcessEnv): Finding[] {
  const findings: Finding[] = [];
  const configured: string[] = [];
  for (const client of CLIENTS) {
    for (const file of filesOf(client, machine, env)) {
      try {
        if (!isConfigured(client, file)) continue;
        const misdirected = misdirectedEntries(client, file);
        if (misdirected.length === 0) configured.push(`${client.title} (${file})`);
        for (const { name, missing } of misdirected) {
          findings.push(
            fail(
              'clients',
              `${client.title} (${file}): "${name}" starts ${missing}, which is not there`,
              `Run \`mcp-vector-server doctor --repair\`, or \`mcp-vector-server setup --client ${client.id} --name ${name} --write\`.`,
            ),
          );
        }
      } catch (error) {
        if (!isCoded(error)) throw error;
        findings.push(
          warn(
            'clients',
            `${client.title}: ${error.message}`,
            'Look into the file: the client may not read it either.',
          ),
        );
      }
    }
  }
  return [
    configured.length === 0 && findings.every(finding => finding.state !== 'fail')
      ? warn('clients', 'none of the known ones starts this server', 'Run `mcp-vector-server setup`.')
      : ok('clients', configured.join(', ') || 'see below'),
    ...findings,
  ];
}

/** The user's file of a client and the project's, where it has one; the same one in the home directory. */
export function filesOf(client: Client, machine: Machine, env: NodeJS.ProcessEnv): string[] {
  const project = client.projectFile === undefined ? [] : [join(machine.cwd, client.projectFile)];
  return [...new Set([client.userFile(machine, env), ...project])];
}

/** The entries of a client's file that start this program by a path that is not there: moved, or gone with an upgrade of Node. */
export function misdirectedEntries(
  client: Client,
  file: string,
): { readonly name: string; readonly missing: string }[] {
  return ownEntries(client, file).flatMap(({ name, entry: { command, args } }) => {
    const words = [command, ...(Array.isArray(args) ? args : [])];
    const missing = words.find(
      (word): word is string => typeof word === 'string' && isAbsolute(word) && !existsSync(word),
    );
    return missing === undefined ? [] : [{ name, missing }];
  });
}
