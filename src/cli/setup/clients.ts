/**
 * The clients' own formats, as their documentation gives them (November 2026): Claude Code "MCP" (mcp add, .mcp.json,
 * ~/.claude.json), Claude Desktop, Cursor "MCP", VS Code "MCP configuration reference", Codex docs/config.md, Windsurf
 * "Cascade MCP".
 */
import { join } from 'node:path';
import type { JsonValue } from '../../domain/model.js';
import type { Machine } from '../../paths.js';
import type { ClientId } from '../choices.js';
import type { ServerCommand } from './server-command.js';

export interface Client {
  readonly id: ClientId;
  readonly title: string;
  /** Its file for all of the user's projects. */
  readonly userFile: (machine: Machine, env: NodeJS.ProcessEnv) => string;
  /** Its file for one project, relative to it; undefined where it has none. */
  readonly projectFile: string | undefined;
  readonly format: 'json' | 'toml';
  /** The member (JSON) or table (TOML) that holds the servers by name. */
  readonly section: string;
  /** The entry that goes into the section under the server's name. */
  readonly entry: (server: ServerCommand) => Record<string, JsonValue>;
  /** A shell line that does the same; undefined where the client has none. */
  readonly oneLiner?: (name: string, server: ServerCommand, isProject: boolean) => string;
  /** What makes it take effect. */
  readonly after: string;
}

/** Codex gives a server 10 s to start, which a first npx, that downloads and compiles, does not keep. */
const CODEX_STARTUP_TIMEOUT_SEC = 120;

export const CLIENTS: readonly Client[] = [
  {
    id: 'claude-code',
    title: 'Claude Code',
    userFile: ({ home }, env) => join(env.CLAUDE_CONFIG_DIR ?? home, '.claude.json'),
    projectFile: '.mcp.json',
    format: 'json',
    section: 'mcpServers',
    entry: server => ({ type: 'stdio', ...plainEntry(server) }),
    oneLiner: (name, server, isProject) =>
      `claude mcp add ${name} --scope ${isProject ? 'project' : 'user'}${envFlags(server)} -- ${commandLine(server)}`,
    after: 'Restart Claude Code; /mcp shows the server.',
  },
  {
    id: 'claude-desktop',
    title: 'Claude Desktop',
    userFile: (machine, env) => join(appData(machine, env), 'Claude', 'claude_desktop_config.json'),
    projectFile: undefined,
    format: 'json',
    section: 'mcpServers',
    entry: plainEntry,
    after:
      'Quit Claude Desktop and open it again. It starts servers in /, so name the directories to ingest in env: "VECTOR_ROOTS".',
  },
  {
    id: 'cursor',
    title: 'Cursor',
    userFile: ({ home }) => join(home, '.cursor', 'mcp.json'),
    projectFile: join('.cursor', 'mcp.json'),
    format: 'json',
    section: 'mcpServers',
    entry: plainEntry,
    after: 'Cursor takes it up by itself; Settings, Tools & MCP shows the server.',
  },
  {
    id: 'vscode',
    title: 'VS Code',
    userFile: (machine, env) => join(appData(machine, env), 'Code', 'User', 'mcp.json'),
    projectFile: join('.vscode', 'mcp.json'),
    format: 'json',
    section: 'servers',
    entry: server => ({ type: 'stdio', ...plainEntry(server) }),
    oneLiner: (name, server, isProject) =>
      isProject ? '' : `code --add-mcp ${shellQuote(JSON.stringify({ name, ...plainEntry(server) }))}`,
    after: 'In VS Code, "MCP: List Servers" shows it and starts it.',
  },
  {
    id: 'codex',
    title: 'Codex',
    userFile: ({ home }, env) => join(env.CODEX_HOME ?? join(home, '.codex'), 'config.toml'),
    projectFile: join('.codex', 'config.toml'),
    format: 'toml',
    section: 'mcp_servers',
    entry: server => ({
      ...plainEntry(server),
      ...(server.isSlowAtFirst ? { startup_timeout_sec: CODEX_STARTUP_TIMEOUT_SEC } : {}),
    }),
    oneLiner: (name, server, isProject) =>
      isProject ? '' : `codex mcp add ${name}${envFlags(server)} -- ${commandLine(server)}`,
    after: 'Start a new Codex session; /mcp shows the server.',
  },
  {
    id: 'windsurf',
    title: 'Windsurf',
    userFile: ({ home }) => join(home, '.codeium', 'windsurf', 'mcp_config.json'),
    projectFile: undefined,
    format: 'json',
    section: 'mcpServers',
    entry: plainEntry,
    after: 'Press the refresh button of the MCP list in Cascade.',
  },
];

/** Where desktop applications keep their settings. */
function appData({ platform, home }: Machine, env: NodeJS.ProcessEnv): string {
  if (platform === 'win32') return env.APPDATA ?? join(home, 'AppData', 'Roaming');
  if (platform === 'darwin') return join(home, 'Library', 'Application Support');
  return env.XDG_CONFIG_HOME ?? join(home, '.config');
}

function plainEntry({ command, args, env }: ServerCommand): Record<string, JsonValue> {
  return {
    command,
    args: [...args],
    ...(Object.keys(env).length === 0 ? {} : { env: { ...env } }),
  };
}

function envFlags({ env }: ServerCommand): string {
  return Object.entries(env)
    .map(([name, value]) => ` --env ${shellQuote(`${name}=${value}`)}`)
    .join('');
}

function commandLine({ command, args }: ServerCommand): string {
  return [command, ...args].map(shellQuote).join(' ');
}

/** As a POSIX shell takes it; bare where nothing needs quoting. */
function shellQuote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
