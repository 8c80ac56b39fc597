import { VARIABLES } from '../variables.js';
import { HELP_OPTIONS } from './arguments.js';
import type { Command, Delegated, Options } from './command.js';
import { columns } from './printing.js';

const EXIT_CODES =
  'Exit codes: 0 done or sound; 1 what was asked about is not sound, not there, or failed; 2 could not run.';

/** What a person sees who types the bare name. */
export function shortHelp(): string {
  return [
    'mcp-vector-server: memory and document search for AI agents, over MCP.',
    '',
    'An agent starts this program by itself, and speaks MCP with it on stdin and stdout. To make it known to yours:',
    '',
    '  mcp-vector-server setup     prints the line or the snippet for your client',
    '  mcp-vector-server doctor    checks Node, the native modules, the model and the store',
    '  mcp-vector-server --help    everything else',
  ].join('\n');
}

/** The help of the program. */
export function mainHelp(commands: readonly (Command | Delegated)[]): string {
  return [
    'Usage: mcp-vector-server [command] [options]',
    '',
    'Memory and document search for AI agents, over MCP, on an append-only, checksummed log.',
    'Without a command, and with a client on the other end of stdin, it is the MCP server.',
    '',
    'Commands (each has its own --help):',
    ...columns(commands.map(c => [`  ${c.name}`, c.summary])),
    '',
    'Environment:',
    ...VARIABLES.flatMap(v => [
      `  ${v.name}${v.defaultValue === '' ? '' : `  (default: ${v.defaultValue})`}`,
      ...wrap(v.meaning, 98).map(line => `      ${line}`),
    ]),
    '',
    EXIT_CODES,
  ].join('\n');
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  return [
    `Usage: mcp-vector-server ${command.name} ${command.usage}`.trimEnd(),
    '',
    command.summary,
    ...(command.details === undefined ? [] : ['', command.details]),
    '',
    'Options:',
    ...optionLines({ ...command.options, ...HELP_OPTIONS }),
    '',
    command.exits?.meaning ?? EXIT_CODES,
  ].join('\n');
}

function optionLines(options: Options): string[] {
  return columns(
    Object.entries(options).map(([name, option]) => [
      `  ${option.short === undefined ? '   ' : `-${option.short},`} --${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`,
      option.choices === undefined
        ? option.meaning
        : `${option.meaning} One of ${option.choices.join(', ')}.`,
    ]),
  );
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
