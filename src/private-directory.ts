import type { Stats } from 'node:fs';

const OTHERS = 0o077;

/**
 * Why a directory is not one user's alone; undefined where it is. In a temporary directory any user may make a name first, and whoever
 * may write into one could put there what is trusted.
 * @param stat by lstat, which does not follow: a link to a directory of the user's is not one
 */
export function privacyFault(stat: Stats, uid: number | undefined): string | undefined {
  if (!stat.isDirectory()) return 'is not a directory';
  if (stat.uid !== uid) return `belongs to user ${stat.uid}`;
  return (stat.mode & OTHERS) === 0 ? undefined : 'may be entered by other users';
}
