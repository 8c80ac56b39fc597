import { join } from 'node:path';
import { isCoded } from '../../domain/errors.js';
import type { Machine } from '../../paths.js';
import { VERSION } from '../../version.js';
import type { ClientId } from '../choices.js';
import { CLIENTS, type Client } from '../setup/clients.js';
import { type JsonObject, ownEntries } from '../setup/configure.js';
import { readText } from '../setup/edit-file.js';
import { rulesIn } from '../setup/rules.js';
import { savedEntry, savedVariable } from './mask.js';

/** What `backup --with-config` takes along. Numbers and names in it never change meaning. */
export interface SavedConfig {
  readonly format: 1;
  readonly program: string;
  /** The store's directory. */
  readonly store: string;
  /** Settings that were in the environment, by name. Here and below, `(not saved)` stands for what may be secret. */
  readonly settings: Readonly<Record<string, string>>;
  readonly clients: readonly SavedEntry[];
  /** What `setup --rules` wrote, by file. */
  readonly rules: readonly { readonly file: string; readonly text: string }[];
  /** Files of clients that could not be read. */
  readonly unread: readonly string[];
}

/** The entry that starts this program in one file of a client. */
export interface SavedEntry {
  readonly client: ClientId;
  readonly scope: 'user' | 'project';
  readonly file: string;
  readonly name: string;
  readonly entry: JsonObject;
}

const FORMAT = 1;

/**
 * The configuration of this program and of the clients that start it: the environment, and the files that `setup` writes for the user and for the project in
 * the working directory. Of clients' files only the own entries, of rules only the own block. The same as long as nothing changed.
 * @returns with what could not be read, and why
 */
export function collectConfig(
  machine: Machine,
  env: NodeJS.ProcessEnv,
  store: string,
): { config: SavedConfig; problems: readonly string[] } {
  const clients: SavedEntry[] = [];
  const unread: string[] = [];
  const problems: string[] = [];
  for (const [client, scope, file] of filesOf(machine, env)) {
    try {
      for (const { name, entry } of ownEntries(client, file))
        clients.push({ client: client.id, scope, file, name, entry: savedEntry(entry) });
    } catch (error) {
      if (!isCoded(error)) throw error;
      unread.push(file);
      problems.push(error.message);
    }
  }
  const rules = rulesFiles(machine, env).flatMap(file => {
    const text = rulesIn(readText(file) ?? '');
    return text === undefined ? [] : [{ file, text }];
  });
  const program = `mcp-vector-server ${VERSION}`;
  const settings = settingsIn(env);
  return { config: { format: FORMAT, program, store, settings, clients, rules, unread }, problems };
}

function settingsIn(env: NodeJS.ProcessEnv): Record<string, string> {
  const names = Object.keys(env).filter(name => name.startsWith('VECTOR_') || name === 'OPENAI_API_KEY');
  return Object.fromEntries(
    names
      .sort()
      .filter(name => env[name] !== '')
      .map(name => [name, savedVariable(name, env[name]!)]),
  );
}

function filesOf(machine: Machine, env: NodeJS.ProcessEnv): [Client, 'user' | 'project', string][] {
  return CLIENTS.flatMap(client => {
    const files: [Client, 'user' | 'project', string][] = [[client, 'user', client.userFile(machine, env)]];
    if (client.projectFile !== undefined)
      files.push([client, 'project', join(machine.cwd, client.projectFile)]);
    return files;
  });
}

/** Where agents look for rules: in the project, and for all of the user's projects. */
const rulesFiles = ({ home, cwd }: Machine, env: NodeJS.ProcessEnv): string[] => [
  join(cwd, 'CLAUDE.md'),
  join(cwd, 'AGENTS.md'),
  join(env.CLAUDE_CONFIG_DIR ?? join(home, '.claude'), 'CLAUDE.md'),
  join(env.CODEX_HOME ?? join(home, '.codex'), 'AGENTS.md'),
];
