import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import { expandHome, type Machine } from '../../paths.js';
import type { Launcher } from '../choices.js';
import type { Call } from '../command.js';
import { EXIT } from '../exit-codes.js';
import { say, sayJson } from '../printing.js';
import { CLIENTS, type Client } from '../setup/clients.js';
import { configure, snippet } from '../setup/configure.js';
import { type Edited, editFile, unreadable } from '../setup/edit-file.js';
import { BrokenMarkers, RULES, withRules } from '../setup/rules.js';
import { likelyLauncher, type ServerCommand, serverCommand } from '../setup/server-command.js';

const DEFAULT_NAME = 'vector-memory';
/** Bare keys of TOML, and what every client takes as a server's name. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
/** The user's own files are for the user alone; a project's are shared like its other files. */
const USER_FILE_MODE = 0o600;
const PROJECT_FILE_MODE = 0o644;

/** `setup`: prints, or writes, what makes the server known to a client; with --rules, what makes an agent use it. */
export default async function setup(call: Call): Promise<number> {
  const machine: Machine = { platform: process.platform, home: homedir(), cwd: process.cwd() };
  if (call.has('rules')) return rules(call, machine);
  if (call.positionals.length > 0) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(call.positionals[0])}: setup takes a file only with --rules --write`,
      'Name the client with --client.',
    );
  }
  const name = call.text('name') ?? DEFAULT_NAME;
  if (!NAME.test(name)) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `--name: ${JSON.stringify(name)} is no name for a server`,
      'Use a letter first, then up to 62 letters, digits, - and _.',
    );
  }
  const store = call.text('store');
  const launcher = (call.text('launch') as Launcher | undefined) ?? likelyLauncher();
  const server = serverCommand(
    launcher,
    store === undefined ? undefined : resolve(machine.cwd, expandHome(store, machine)),
  );
  const id = call.text('client');
  if (id === undefined) {
    if (call.has('write')) {
      throw new CodedError(
        'INVALID_ARGUMENT',
        '--write needs to know which client',
        `Add --client, one of: ${CLIENTS.map(c => c.id).join(', ')}.`,
      );
    }
    return overview(call, name, server, machine);
  }
  const client = CLIENTS.find(c => c.id === id)!;
  const target = fileOf(client, call.has('project'), machine);
  const result = call.has('write')
    ? editFile(target, text => configure(client, name, server, text, target), {
        mode: call.has('project') ? PROJECT_FILE_MODE : USER_FILE_MODE,
      })
    : undefined;
  report(call, client, name, server, target, result);
  return EXIT.ok;
}

function fileOf(client: Client, isProject: boolean, machine: Machine): string {
  if (!isProject) return client.userFile(machine, process.env);
  if (client.projectFile === undefined) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `--project: ${client.title} has no configuration of its own for a project`,
      'Leave --project out.',
    );
  }
  return join(machine.cwd, client.projectFile);
}

function report(
  call: Call,
  client: Client,
  name: string,
  server: ServerCommand,
  file: string,
  result: Edited | undefined,
): void {
  const isProject = call.has('project');
  const oneLiner = client.oneLiner?.(name, server, isProject) || undefined;
  if (call.has('json')) {
    sayJson({
      client: client.id,
      name,
      file,
      snippet: snippet(client, name, server),
      ...(oneLiner === undefined ? {} : { one_liner: oneLiner }),
      ...(result === undefined ? {} : { outcome: result.outcome, backup: result.backup ?? null }),
      after: client.after,
    });
    return;
  }
  if (result !== undefined) {
    say(changeLine(result, `"${name}"`));
    if (result.backup !== undefined) say(`What was there before is in ${result.backup}`);
    if (result.outcome !== 'unchanged') say(client.after);
  } else {
    if (oneLiner !== undefined) {
      say(`${client.title}, in one line:`);
      say();
      say(`  ${oneLiner}`);
      say();
    }
    say(oneLiner === undefined ? `${client.title}: in ${file}` : `or in ${file}`);
    say();
    say(indented(snippet(client, name, server)));
    say();
    say(`With --write this command puts it there, after a backup. ${client.after}`);
  }
  sayFirstStart(server);
}

/** A client may give up on a server that is still being downloaded and compiled. */
function sayFirstStart(server: ServerCommand): void {
  if (!server.isSlowAtFirst) return;
  const line = [server.command, ...server.args, 'doctor'].join(' ');
  say();
  say(`Run this once first: it downloads and compiles now what a client would otherwise have to wait for.`);
  say();
  say(`  ${line}`);
}

function changeLine({ path, outcome }: Edited, what: string): string {
  if (outcome === 'unchanged') return `${path} has ${what} just so already: nothing changed.`;
  return outcome === 'created' ? `Created ${path} with ${what}.` : `Put ${what} into ${path}.`;
}

function overview(call: Call, name: string, server: ServerCommand, machine: Machine): number {
  if (call.has('json')) {
    sayJson(
      CLIENTS.map(client => ({
        client: client.id,
        name,
        file: client.userFile(machine, process.env),
        snippet: snippet(client, name, server),
        one_liner: client.oneLiner?.(name, server, false) ?? null,
      })),
    );
    return EXIT.ok;
  }
  for (const client of CLIENTS) {
    const line = client.oneLiner?.(name, server, false);
    say(`${client.title}:`);
    say(`  ${line ?? `mcp-vector-server setup --client ${client.id} --write`}`);
  }
  say();
  say('`setup --client NAME` shows the snippet, `--write` puts it into the client’s file, after a backup;');
  say('`setup --rules` prints the lines that make an agent use its memory.');
  sayFirstStart(server);
  return EXIT.ok;
}

function rules(call: Call, machine: Machine): number {
  const [file] = call.positionals;
  if (!call.has('write')) {
    if (call.has('json')) sayJson({ rules: RULES });
    else say(RULES);
    return EXIT.ok;
  }
  if (file === undefined) {
    const there = ['CLAUDE.md', 'AGENTS.md'].filter(f => existsSync(join(machine.cwd, f)));
    throw new CodedError(
      'INVALID_ARGUMENT',
      '--rules --write needs the file to write to',
      `For example: mcp-vector-server setup --rules --write ${there[0] ?? 'AGENTS.md'}`,
    );
  }
  const path = resolve(machine.cwd, expandHome(file, machine));
  const result = editFile(
    path,
    text => {
      try {
        return withRules(text);
      } catch (error) {
        if (error instanceof BrokenMarkers) throw unreadable(path, error.message, error);
        throw error;
      }
    },
    { mode: PROJECT_FILE_MODE },
  );
  if (call.has('json')) sayJson({ file: path, outcome: result.outcome, backup: result.backup ?? null });
  else {
    say(changeLine(result, 'the rules'));
    if (result.backup !== undefined) say(`What was there before is in ${result.backup}`);
  }
  return EXIT.ok;
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
