/** What counts as an answer of the disk, and what as a mistake in the program: that is thrown on as it is. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { assertWalError, WalError } from '#wal/errors.js';
import { asIoError, describe, isIoError, readError, withIoErrors, writeFailure } from '#wal/io-error.js';

const caught = (work: () => unknown): Error => {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it went well');
};

const enoent = caught(() => readFileSync('/nowhere/at all'));
const ofLevelDb = Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' });
const byKey = new Error('IO error: 000005.ldb: Too many open files');
const corruption = Object.assign(new Error('Corruption: bad block type'), { code: 'LEVEL_CORRUPTION' });
const ofOpening = new Error('Database failed to open', { cause: ofLevelDb });
const mistake = caught(() => (undefined as unknown as { a: number }).a);
const ours = new WalError('WAL_GAP', 'record 3 is missing', 'Look.');

test('the file system answers, and LevelDB, by a code or in words', () => {
  for (const error of [enoent, ofLevelDb, byKey]) {
    expect(isIoError(error)).toBe(true);
    expect(asIoError(error)).toBe(error);
  }
  for (const error of [corruption, mistake, ours]) {
    expect(isIoError(error)).toBe(false);
    expect(() => asIoError(error)).toThrow(error);
  }
});

test('an error of the log is one, and no other', () => {
  assertWalError(ours);
  for (const error of [enoent, mistake]) expect(() => assertWalError(error)).toThrow(error);
});

test('LevelDB’s own words stand in the cause', () => {
  expect(describe(ofOpening)).toBe(ofLevelDb.message);
  expect(describe(enoent)).toBe(enoent.message);
});

test('work on files gives what the disk answers a code, and nothing else', async () => {
  const failing = (error: Error) => withIoErrors('it could not be done', () => Promise.reject(error));
  await expect(failing(enoent)).rejects.toMatchObject({
    ...{ code: 'WAL_IO', message: `it could not be done: ${enoent.message}`, cause: enoent },
  });
  for (const error of [ours, mistake, corruption]) await expect(failing(error)).rejects.toBe(error);
  expect(await withIoErrors('it could not be done', () => 7)).toBe(7);
});

test('a read that failed is the disk’s refusal, or damage; what has a code keeps it', () => {
  const { code, message, cause } = readError(byKey, 'record 3');
  expect([code, message, cause]).toEqual(['WAL_IO', `record 3 cannot be read: ${byKey.message}`, byKey]);
  expect(readError(corruption, 'record 3')).toMatchObject({ code: 'WAL_BAD_RECORD', cause: corruption });
  expect(readError(ours, 'record 3')).toBe(ours);
});

test('a write that failed stops writes until the disk is well', () => {
  expect(writeFailure('writing HEAD', ofOpening)).toMatchObject({
    ...{ code: 'WAL_POISONED', message: `writing HEAD failed: ${ofLevelDb.message}`, cause: ofOpening },
  });
});
