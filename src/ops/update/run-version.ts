/** Running one version of the program from another one: as its user would, in a process of its own. */
import { spawn } from 'node:child_process';
import { CodedError } from '../../domain/errors.js';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 10 * 60_000;
/** What it says is read to its end, and kept no longer than anybody would read. */
const KEPT_CHARS = 4 * 1024 * 1024;

/** The environment of a version: the service's variables on the store that is named, and of this process' what programs need to run. */
export function versionEnv(
  settings: Readonly<Record<string, string>>,
  store: string,
  more: Readonly<Record<string, string>> = {},
): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('VECTOR_'));
  return { ...Object.fromEntries(kept), ...settings, VECTOR_DB_PATH: store, ...more };
}

/**
 * @param main the version's file that Node runs
 * @returns what it said, whatever its exit code
 * @throws CodedError UPDATE_FAILED where it cannot be started, or does not end in time
 */
export function runVersion(
  main: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { timeoutMs = TIMEOUT_MS, cwd }: { timeoutMs?: number; cwd?: string } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (stdout.length < KEPT_CHARS) stdout += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (stderr.length < KEPT_CHARS) stderr += chunk;
    });
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(failed(`${args[0]} did not end within ${Math.round(timeoutMs / 1000)} s`));
    }, timeoutMs);
    child.on('error', error => {
      clearTimeout(late);
      reject(failed(`it cannot be started: ${error.message}`));
    });
    child.on('close', code => {
      clearTimeout(late);
      resolve({ code, stdout, stderr });
    });
  });
}

/** What a run that should have answered JSON says. @throws CodedError UPDATE_FAILED with the last line of its stderr */
export function answerOf<T>(what: string, { code, stdout, stderr }: Ran): T {
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw failed(`${what} ended with ${code ?? 'a signal'}${lastLine(stderr)}`);
  }
}

/** The last line that a program said, to be read by a person; stored text stays out of stderr. */
export function lastLine(stderr: string): string {
  const line = stderr.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line.slice(0, 300)}`;
}

export const failed = (message: string, cause?: unknown): CodedError =>
  new CodedError(
    'UPDATE_FAILED',
    message,
    'Nothing is different from before. Report it with the version, or try a later one.',
    { cause },
  );
