import { CodedError } from '../domain/errors.js';
import { nearest } from '../domain/nearest.js';
import { VERSION } from '../version.js';
import { parseArguments } from './arguments.js';
import { COMMANDS } from './commands.js';
import { EXIT, exitCodeOf } from './exit-codes.js';
import { commandHelp, mainHelp, shortHelp } from './help.js';
import { say, sayError, surviveClosedPipe } from './printing.js';

/**
 * Runs one command line.
 * @param argv without node and the script
 * @returns the exit code; every error has been printed
 */
export async function run(argv: readonly string[]): Promise<number> {
  surviveClosedPipe(process.stdout);
  try {
    return await dispatch(argv);
  } catch (error) {
    sayError(error, argv.includes('--json'));
    const command = COMMANDS.find(c => c.name === argv[0]);
    const exits = command !== undefined && 'exits' in command ? command.exits : undefined;
    return exits?.failed ?? exitCodeOf(error);
  }
}

async function dispatch([name, ...rest]: readonly string[]): Promise<number> {
  if (name === undefined) return answer(shortHelp());
  if (name === '--version' || name === '-V') return answer(VERSION);
  if (name === '--help' || name === '-h' || name === 'help') {
    const about = COMMANDS.find(c => c.name === rest[0]);
    if (about === undefined) return answer(mainHelp(COMMANDS));
    return await dispatch([about.name, '--help']);
  }
  const command = COMMANDS.find(c => c.name === name);
  if (command === undefined) throw unknownCommand(name);
  if ('delegate' in command) {
    // The programs of tools/ answer --help themselves; the version is this package's.
    if (rest.includes('--version') || rest.includes('-V')) return answer(VERSION);
    return await (await command.delegate())([...rest]);
  }
  const call = parseArguments(command, rest);
  if (call.has('help')) return answer(commandHelp(command));
  if (call.has('version')) return answer(VERSION);
  return await (await command.load())(call);
}

function answer(text: string): number {
  say(text);
  return EXIT.ok;
}

function unknownCommand(name: string): CodedError {
  const names = COMMANDS.map(c => c.name);
  const near = nearest(name, [...names, '--help', '--version']);
  const what = name.startsWith('-') ? 'unknown option' : 'unknown command';
  return new CodedError(
    'INVALID_ARGUMENT',
    `${name}: ${what}${near === undefined ? '' : `, did you mean ${near}?`}`,
    `The commands are: ${names.join(', ')}. See \`mcp-vector-server --help\`.`,
  );
}
