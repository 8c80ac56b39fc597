import { readFileSync } from 'node:fs';

/**
 * Tells a process from a later one of the same number, which are given again and again: when it began, in ticks since the machine did. Elsewhere than on
 * Linux the same for all that run.
 * @returns undefined where there is no such process
 */
export function begunOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') return process.kill(pid, 0) ? 'some time' : undefined;
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Behind the name, which may hold anything, come the third field and those after it: proc_pid_stat(5).
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
