import { join } from 'node:path';
import { isCoded } from '../../domain/errors.js';
import type { Machine } from '../../paths.js';
import { CLIENTS } from '../setup/clients.js';
import { isConfigured } from '../setup/configure.js';
import { type Finding, ok, warn } from './finding.js';

/** Which clients know the server, by the user's files and by those of the project in the working directory. */
export function checkClients(machine: Machine, env: NodeJS.ProcessEnv): Finding[] {
  const findings: Finding[] = [];
  const configured: string[] = [];
  for (const client of CLIENTS) {
    const files = [client.userFile(machine, env)];
    if (client.projectFile !== undefined) files.push(join(machine.cwd, client.projectFile));
    for (const file of files) {
      try {
        if (isConfigured(client, file)) configured.push(`${client.title} (${file})`);
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
    configured.length === 0
      ? warn('clients', 'none of the known ones starts this server', 'Run `mcp-vector-server setup`.')
      : ok('clients', configured.join(', ')),
    ...findings,
  ];
}
