/**
 * The poison rule on disks that are full, or where a file may not grow: no acknowledged write is lost, and writes resume once there is room.
 * With errors injected: poison.test.ts.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PROBE_FILE } from '#wal/probe.js';
import { verifyLog } from '#wal/verify.js';
import { StoreProcess } from '../helpers/store-process.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

interface SmallDisk {
  readonly storeDir: string;
  readonly fileLimitKb?: number;
  /** Leaves so much room. */
  fill(): void;
  free(writer: StoreProcess): void;
  remove(): void;
}

/** A file system of 48 MB in memory. @returns undefined where mounting is not allowed */
function tmpfs(): SmallDisk | undefined {
  const mount = directories.path('disk');
  mkdirSync(mount);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'none', mount], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const ballast = join(mount, 'ballast');
  return {
    storeDir: join(mount, 'store'),
    fill() {
      const { bavail, bsize } = statfsSync(mount);
      const fd = openSync(ballast, 'w');
      const piece = Buffer.alloc(1024 * 1024);
      for (let left = bavail * bsize - 6 * piece.length; left > 0; left -= piece.length) writeSync(fd, piece);
      closeSync(fd);
    },
    free: () => rmSync(ballast),
    remove() {
      execFileSync('umount', [mount]);
    },
  };
}

/** No file grows beyond 4 MB: for LevelDB the same as a full disk, and allowed everywhere. */
const fileLimit = (): SmallDisk => ({
  storeDir: directories.path(),
  fileLimitKb: 4096,
  fill() {},
  free: writer => writer.liftFileLimit(),
  remove() {},
});

describe.each([
  ['a full file system, or a limit where mounting is not allowed', () => tmpfs() ?? fileLimit()],
  ['a limit on the size of files', fileLimit],
])('%s', (_, makeDisk) => {
  test.each(['interval', 'strict'] as const)(
    'loses no acknowledged write and is no outage (%s)',
    async durability => {
      const disk = makeDisk();
      const writer = await StoreProcess.start(
        disk.storeDir,
        { create: true, durability, intervalMs: 50 },
        disk.fileLimitKb,
      );
      try {
        disk.fill();
        const acked: string[] = [];
        const failed: string[] = [];
        for (let i = 0; failed.length < 5 && i < 2000; i++) {
          const text = `${i} `.padEnd(20_000, 'x');
          const { acked: seq, failed: code } = await writer.append(text);
          if (seq !== undefined) acked.push(text);
          else failed.push(code!);
        }
        expect(acked.length).toBeGreaterThan(50);
        expect(failed[0]).toMatch(/^(WAL_OUTCOME_UNKNOWN|WAL_POISONED)$/);
        expect(new Set(failed.slice(1))).toEqual(new Set(['WAL_POISONED']));
        expect(await writer.texts()).toEqual(acked);
        disk.free(writer);
        await expect
          .poll(() => writer.append('after'), { timeout: 20_000, interval: 50 })
          .toHaveProperty('acked');
        acked.push('after');
        const unknown = failed[0] === 'WAL_OUTCOME_UNKNOWN' ? 1 : 0;
        const texts = await writer.texts();
        // What was unknown may be there; what was refused is not.
        expect(texts.length - acked.length).toBeLessThanOrEqual(unknown);
        expect(acked.every(text => texts.includes(text))).toBe(true);
        await writer.kill();
        expect((await verifyLog(disk.storeDir)).findings).toEqual([]);
        const successor = await StoreProcess.start(disk.storeDir);
        expect(successor.opened.failed).toBeUndefined();
        expect(await successor.texts()).toEqual(texts);
        await successor.close();
        expect(existsSync(join(disk.storeDir, PROBE_FILE))).toBe(false);
      } finally {
        await writer.kill();
        disk.remove();
      }
    },
  );
});
