/** Root may do anything: what permissions refuse, they refuse an ordinary user. */
import { chownSync } from 'node:fs';

const NOBODY = 65534;
const isRoot = process.geteuid!() === 0;

/** Does something without the rights of root. @param paths of which that user is made the owner before */
export async function asOrdinaryUser<T>(paths: readonly string[], work: () => T | Promise<T>): Promise<T> {
  if (!isRoot) return work();
  for (const path of paths) chownSync(path, NOBODY, NOBODY);
  process.seteuid!(NOBODY);
  try {
    return await work();
  } finally {
    process.seteuid!(0);
  }
}
