import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WalError } from '../errors.js';
import { isLiving } from '../living.js';

/**
 * Each that works in a directory of backups has an empty file of its own there, `<since, ms>-<pid>-<random>-<host>.lock`. All that is to be known of it
 * stands in its name, so that it is never seen half written; and since no two names are equal, whoever removes one that a dead process left cannot
 * remove another's.
 */
const NAME = /^(\d{13})-(\d{1,10})-[0-9a-f]{16}-(.+)\.lock$/;

/** Whether a file of a directory of backups is the lock of somebody who works there, or worked there until they were killed. */
export const isLock = (name: string): boolean => NAME.test(name);

/** Of two that come at one instant both see the other, and draw back: they try again, each after a time of its own. */
const ATTEMPTS = 8;
const MAX_WAIT_MS = 40;

/**
 * Does work in a directory of backups that nobody else is at work in. A lock whose process is gone does not count; one of another machine is
 * taken at its word.
 * @throws WalError BACKUP_BUSY
 */
export async function withLock<T>(dir: string, work: () => T | Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const mine = `${sinceOf(Date.now())}-${process.pid}-${randomBytes(8).toString('hex')}-${hostInName()}.lock`;
    const path = join(dir, mine);
    held.add(mine);
    try {
      writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
      // Of any two, the one that looks later sees the other's file, which was there before that one looked. So at most one goes on.
      const other = holderBeside(dir, mine);
      if (other === undefined) return await work();
      if (attempt === ATTEMPTS) throw busy(dir, other);
    } finally {
      // First, so that one which cannot be removed is left over and not held.
      held.delete(mine);
      rmSync(path, { force: true });
    }
    await sleep(Math.random() * MAX_WAIT_MS);
  }
}

/** Of 13 digits always: a machine without a battery begins in 1970, and what it writes there must be known for a lock by everybody. */
const sinceOf = (nowMs: number): string => String(nowMs).padStart(13, '0');

/** Those of this process. One that names it and is not among them is of an earlier process of this number, as the first one in a container always has. */
const held = new Set<string>();

const hostInName = (): string => encodeURIComponent(hostname());

interface Holder {
  readonly name: string;
  readonly since: string;
  readonly pid: number;
  readonly host: string;
}

/** A living one other than `mine`. Locks that dead processes left are removed. */
function holderBeside(dir: string, mine: string): Holder | undefined {
  let holder: Holder | undefined;
  for (const name of readdirSync(dir)) {
    const parts = NAME.exec(name);
    if (parts === null || name === mine) continue;
    const [, sinceMs, pid, host] = parts as unknown as [string, string, string, string];
    const other = {
      name,
      since: new Date(Number(sinceMs)).toISOString(),
      pid: Number(pid),
      host: host === hostInName() ? hostname() : host,
    };
    const isOurs = other.pid === process.pid && other.host === hostname();
    if (isOurs ? held.has(name) : isLiving(other)) holder ??= other;
    else rmSync(join(dir, name), { force: true });
  }
  return holder;
}

const busy = (dir: string, { name, since, pid, host }: Holder): WalError =>
  new WalError(
    'BACKUP_BUSY',
    `process ${pid} on ${host} is at work on these backups since ${since}`,
    `Wait until it is done. If there is no such process, remove ${join(dir, name)}.`,
    { details: { pid } },
  );
