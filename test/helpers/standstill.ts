/** Processes that stand still, every thread of them, at the instant at which a kill -9 would have found them. Linux alone has what it takes. */
import { readdirSync, readFileSync } from 'node:fs';

/** Far beyond what a system call takes that cannot be interrupted. */
const STILL_WITHIN_MS = 30_000;
/** Stopped, traced, or ended. */
const STILL = /^[TtZX]$/;

/**
 * Stops processes, and waits until none of their threads runs any more.
 * @returns those that there are still
 * @throws Error where one does not come to a stop
 */
export async function stopProcesses(pids: readonly number[]): Promise<number[]> {
  const there = pids.filter(pid => signal(pid, 'SIGSTOP'));
  const deadlineMs = performance.now() + STILL_WITHIN_MS;
  while (!there.every(isStill)) {
    if (performance.now() > deadlineMs) throw new Error(`processes ${there.join(', ')} do not stop`);
    await new Promise(resolve => setTimeout(resolve, 1));
  }
  return there.filter(pid => stateOf(`/proc/${pid}/stat`) === 'T');
}

export function letGoOn(pids: readonly number[]): void {
  for (const pid of pids) signal(pid, 'SIGCONT');
}

/** @returns false where there is no such process any more */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

function isStill(pid: number): boolean {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return true;
  }
  return threads.every(thread => STILL.test(stateOf(`/proc/${pid}/task/${thread}/stat`)));
}

/** See proc(5): the letter behind the name, which may have spaces and brackets of its own. */
function stateOf(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2, text.lastIndexOf(')') + 3);
  } catch {
    return 'X';
  }
}
