import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The built entry, as `bin` names it. */
export const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the command line as a user would, in a process of its own.
 * @param options.env is the whole environment but for PATH; so the machine's own VECTOR_ variables and HOME stay out
 * @param options.main another entry than that of what was built
 */
export function runCli(
  args: readonly string[],
  {
    cwd,
    env = {},
    stdin = '',
    main = MAIN,
  }: { cwd?: string; env?: NodeJS.ProcessEnv; stdin?: string; main?: string } = {},
): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      cwd,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', code => resolve({ code, stdout, stderr }));
    child.stdin.end(stdin);
  });
}
