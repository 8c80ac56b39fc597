/** Directories that are made, and links that stand for copies: what is flushed, and where neither is permitted. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { makeDirectory } from '#wal/directory.js';
import { linkOrCopy, orCopy } from '#wal/log-copy.js';
import { asOrdinaryUser } from '../helpers/nobody.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let dir: string;
beforeEach(() => {
  dir = directories.path();
  mkdirSync(dir);
});

describe('a directory in one that may be passed but not read', () => {
  const inUnreadable = (work: (made: string) => void) =>
    asOrdinaryUser([dirname(dir), dir], () => {
      mkdirSync(join(dir, 'there'));
      chmodSync(dir, 0o300);
      try {
        work(join(dir, 'there'));
      } finally {
        chmodSync(dir, 0o700);
      }
    });

  test('is somebody else’s matter where it is there already', () =>
    inUnreadable(there => {
      expect(() => makeDirectory(there)).not.toThrow();
    }));

  test('is not taken for made where its entry cannot be flushed', () =>
    inUnreadable(there => {
      expect(() => makeDirectory(`${there}-not`)).toThrow(expect.objectContaining({ code: 'EACCES' }));
    }));
});

test('a directory is made with those above it, for its user alone', () => {
  makeDirectory(join(dir, 'a', 'b', 'c'));
  for (const path of ['a', 'a/b', 'a/b/c']) expect(statSync(join(dir, path)).mode & 0o777).toBe(0o700);
});

describe('a link', () => {
  const paths = () => [join(dir, 'source'), join(dir, 'target')] as const;

  test('is the same file where there can be one', () => {
    const [source, target] = paths();
    writeFileSync(source, 'text');
    linkOrCopy(source, target);
    expect(statSync(target).ino).toBe(statSync(source).ino);
  });

  // What a file system without links answers, or one that has enough of them.
  test.each(['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'])('is a copy where the answer is %s', code => {
    const [source, target] = paths();
    writeFileSync(source, 'text');
    const refuse = () => {
      throw Object.assign(new Error(code), { code });
    };
    orCopy(refuse, source, target);
    expect(readFileSync(target, 'utf8')).toBe('text');
    expect(statSync(target).ino).not.toBe(statSync(source).ino);
  });

  test('is neither where the disk fails, or the source is not there', () => {
    const [source, target] = paths();
    expect(() => linkOrCopy(source, target)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(existsSync(target)).toBe(false);
  });

  test('leads to a file by its whole path', () => {
    const [source, target] = paths();
    writeFileSync(source, 'text');
    orCopy(symlinkSync, source, target);
    expect(execFileSync('readlink', [target], { encoding: 'utf8' }).trim()).toBe(source);
  });
});
