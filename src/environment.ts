/** The variables that configure the program, one by one: what they say, and what is said of those that say nothing right. */
import { resolve } from 'node:path';
import { CodedError } from './domain/errors.js';
import { nearest } from './domain/nearest.js';
import { expandHome, type Machine } from './paths.js';
import { VARIABLES, type VariableName } from './variables.js';

/** Clients that keep settings as switches pass them as true and false. */
const SWITCHES = ['0', '1', 'false', 'true'] as const;

/** A misspelt variable would otherwise do nothing, and nobody would know. */
export function refuseUnknown(env: NodeJS.ProcessEnv): void {
  const known: readonly string[] = VARIABLES.map(v => v.name);
  for (const name of Object.keys(env)) {
    if (!name.startsWith('VECTOR_') || known.includes(name)) continue;
    const near = nearest(name, known);
    throw new CodedError(
      'CONFIG_INVALID',
      `${name}: unknown variable${near === undefined ? '' : `, did you mean ${near}?`}`,
      near === undefined
        ? `Remove ${name} from the environment. The variables are: ${known.join(', ')}.`
        : `Rename it to ${near}, or remove it from the environment.`,
    );
  }
}

/** Whether a switch is on. Default: it is not. @throws CodedError CONFIG_INVALID */
export function isOn(env: NodeJS.ProcessEnv, name: VariableName): boolean {
  const value = oneOf(env, name, SWITCHES, '0');
  return value === '1' || value === 'true';
}

/**
 * What a variable is set to; undefined where it is not, or left blank.
 * @throws CodedError CONFIG_INVALID where the client passed on a reference instead of a value
 */
export function readVariable(env: NodeJS.ProcessEnv, name: VariableName): string | undefined {
  const value = env[name]?.trim();
  if (value === undefined || value === '') return undefined;
  if (/\$\{[^}]*\}/.test(value)) {
    throw invalid(
      name,
      'holds a reference to a variable that the client did not fill in',
      'Write the value itself, or define the variable it refers to.',
    );
  }
  return value;
}

/** The error for a variable whose value is wrong. @param what of the value, after the variable's name */
export function invalid(name: VariableName, what: string, wayOut: string): CodedError {
  return new CodedError('CONFIG_INVALID', `${name}: ${what}`, wayOut, { details: { variable: name } });
}

/** Which of the words that it may be a variable is, in capitals or not. @throws CodedError CONFIG_INVALID */
export function oneOf<const T extends string>(
  env: NodeJS.ProcessEnv,
  name: VariableName,
  allowed: readonly T[],
  fallback: T,
): T {
  const value = readVariable(env, name);
  if (value === undefined) return fallback;
  const found = allowed.find(a => a === value.toLowerCase());
  if (found !== undefined) return found;
  const near = nearest(value, allowed);
  throw invalid(
    name,
    `${JSON.stringify(value)} is not one of ${allowed.join(', ')}`,
    near === undefined ? `Set it to one of ${allowed.join(', ')}.` : `Did you mean ${near}?`,
  );
}

/** Absolute, with ~ expanded; a relative path counts from the working directory. */
export function readPath(name: VariableName, value: string, machine: Machine): string {
  if (value.includes('\0')) throw invalid(name, 'holds a NUL character', 'Write a path.');
  return resolve(machine.cwd, expandHome(value, machine));
}
