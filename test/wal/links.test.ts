/** Directories that are made, and links, in the place of which a copy does. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { makeDirectory } from '#wal/directory.js';
import { linkOrCopy, orCopy } from '#wal/log-copy.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let dir: string;
beforeEach(() => {
  dir = directories.path();
  mkdirSync(dir);
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

  test('is not a copy where the disk fails', () => {
    const [source, target] = paths();
    writeFileSync(source, 'text');
    const fail = () => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    };
    expect(() => orCopy(fail, source, target)).toThrow('EIO');
    expect(existsSync(target)).toBe(false);
  });

  test('is nothing where the source is not there', () => {
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
