import { hostname } from 'node:os';

/** Whether a process is still there; one of another machine counts as such. */
export function isLiving({ pid, host }: { readonly pid: number; readonly host: string }): boolean {
  // Nobody here can ask after a process of another machine.
  if (host !== hostname()) return true;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
