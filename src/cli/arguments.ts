import { type ParseArgsConfig, parseArgs } from 'node:util';
import { CodedError } from '../domain/errors.js';
import { nearest } from '../domain/nearest.js';
import type { Call, Command, Options } from './command.js';

/** Options that every command takes, whether or not its definition names them. */
export const HELP_OPTIONS: Options = {
  help: { type: 'boolean', short: 'h', meaning: 'Print this and exit.' },
  version: { type: 'boolean', short: 'V', meaning: 'Print the version and exit.' },
};

/**
 * Parses a command's arguments (without its name) against its definition.
 * @throws CodedError INVALID_ARGUMENT for an unknown option (with the nearest known one), a missing or unexpected
 *   value, an option given twice, a value outside an option's choices, too few or too many positionals
 */
export function parseArguments(command: Command, argv: readonly string[]): Call {
  const options: Options = { ...command.options, ...HELP_OPTIONS };
  const config = {
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(options).map(([name, { type, short }]) => [
        name,
        short === undefined ? { type } : { type, short },
      ]),
    ),
  } satisfies ParseArgsConfig;
  // Not strict: parseArgs' own errors name neither the command nor the nearest option.
  const { tokens, positionals } = parseArgs(config);
  const values = new Map<string, string | true>();
  const repeated: { name: string; value: string }[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const value = checkOption(command, options, token);
    if (values.has(token.name) && typeof value === 'string' && options[token.name]!.isRepeatable !== true) {
      throw usage(command, `--${token.name} is given twice`);
    }
    values.set(token.name, value);
    if (typeof value === 'string') repeated.push({ name: token.name, value });
  }
  const isAsking = values.has('help') || values.has('version');
  if (!isAsking) checkPositionals(command, positionals);
  return {
    positionals,
    text: name => {
      const value = values.get(name);
      return typeof value === 'string' ? value : undefined;
    },
    texts: name => repeated.filter(option => option.name === name).map(option => option.value),
    has: name => values.has(name),
    integer: (name, { min, max, fallback }) => {
      const value = values.get(name);
      if (typeof value !== 'string') return fallback;
      const number = Number(value);
      if (/^\d+$/.test(value) && number >= min && number <= max) return number;
      throw usage(command, `--${name}: ${JSON.stringify(value)} is not a whole number from ${min} to ${max}`);
    },
  };
}

function checkOption(
  command: Command,
  options: Options,
  token: { name: string; rawName: string; value?: string | undefined },
): string | true {
  const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
  if (option === undefined) {
    const near = nearest(token.name, Object.keys(options));
    const hint = near === undefined ? '' : `, did you mean --${near}?`;
    throw usage(command, `${token.rawName}: unknown option${hint}`);
  }
  if (option.type === 'boolean') {
    if (token.value === undefined) return true;
    throw usage(command, `--${token.name} takes no value`);
  }
  if (token.value === undefined || token.value === '') {
    throw usage(command, `--${token.name} needs a value: --${token.name} ${option.value ?? 'VALUE'}`);
  }
  if (option.choices !== undefined && !option.choices.includes(token.value)) {
    const near = nearest(token.value, option.choices);
    const hint = near === undefined ? '' : `, did you mean ${near}?`;
    throw usage(
      command,
      `--${token.name}: ${JSON.stringify(token.value)} is not one of ${option.choices.join(', ')}${hint}`,
    );
  }
  return token.value;
}

function checkPositionals(command: Command, positionals: readonly string[]): void {
  const { min, max } = command.positionals;
  if (positionals.length < min) {
    throw usage(command, `${command.name}: something is missing: ${command.name} ${command.usage}`);
  }
  if (positionals.length > max) {
    throw usage(
      command,
      `${command.name}: ${JSON.stringify(positionals[max])} is one argument too many: ${command.name} ${command.usage}`,
    );
  }
}

/** An INVALID_ARGUMENT whose way out is the command's help. */
export function usage(command: { readonly name: string }, message: string): CodedError {
  return new CodedError('INVALID_ARGUMENT', message, `See \`mcp-vector-server ${command.name} --help\`.`);
}
