import { parseArguments } from '../src/cli/arguments.js';
import type { Call, Command } from '../src/cli/command.js';
import { EXIT, exitCodeOf } from '../src/cli/exit-codes.js';
import { commandHelp } from '../src/cli/help.js';
import { say, sayError, surviveClosedPipe } from '../src/cli/printing.js';

/** Runs a program of this directory: parses, answers --help, prints every error. @returns the exit code */
export async function runProgram(
  command: Omit<Command, 'load'>,
  argv: readonly string[],
  work: (call: Call) => Promise<number>,
): Promise<number> {
  surviveClosedPipe(process.stdout);
  try {
    const whole: Command = { ...command, load: async () => work };
    const call = parseArguments(whole, argv);
    if (call.has('help')) {
      say(commandHelp(whole));
      return EXIT.ok;
    }
    return await work(call);
  } catch (error) {
    sayError(error, argv.includes('--json'));
    return exitCodeOf(error);
  }
}

/** Options that the programs share. */
export const STORE_OPTION = {
  store: { type: 'string', value: 'DIR', meaning: 'The store; default VECTOR_DB_PATH, else the user’s.' },
} as const;
export const JSON_OPTION = {
  json: { type: 'boolean', meaning: 'Print JSON for programs.' },
} as const;
