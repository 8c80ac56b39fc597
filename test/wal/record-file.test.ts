/** Files of raw records: what was written comes back byte for byte, and what is none of them is told. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { HEADER_BYTES, MAX_PAYLOAD_BYTES } from '#wal/record.js';
import {
  lengthOf,
  nameRecord,
  RecordFileWriter,
  readRecordFile,
  storedBytes,
  writeFlushed,
} from '#wal/record-file.js';
import { seeded } from '../helpers/damage.js';
import { Directories } from '../helpers/wal.js';

const directories = new Directories();
afterAll(() => directories.remove());

let path: string;
beforeEach(() => {
  path = directories.path('records');
});

class NotOne extends Error {}
const wrong = (what: string) => new NotOne(what);
const NOBODY = { update() {} };

async function read(digest: Parameters<typeof readRecordFile>[1] = NOBODY): Promise<Buffer[]> {
  const values: Buffer[] = [];
  for await (const value of readRecordFile(path, digest, wrong)) values.push(Buffer.from(value));
  return values;
}

/** Values of these lengths; what is in them is nobody's business here. */
function valuesOf(...lengths: number[]): Buffer[] {
  const random = seeded(1);
  return lengths.map(length => Buffer.alloc(length, Math.floor(random() * 256)));
}

test('records of any length come back in order, and both ends agree on size and digest', async () => {
  // Several in one piece that is read, one over two of them, one over three.
  const values = valuesOf(80, 100, 700_000, 700_000, 90, 2_500_000, 80);
  const file = await RecordFileWriter.create(path);
  await file.write(values.slice(0, 3));
  await file.write([]);
  await file.write(values.slice(3));
  const sha256 = await file.finish();
  await file.close();
  const digest = createHash('sha256');
  const found = await read(digest);
  expect(found.map(value => value.length)).toEqual(values.map(value => value.length));
  expect(found.every((value, index) => value.equals(values[index]!))).toBe(true);
  expect(digest.digest('hex')).toBe(sha256);
  expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(sha256);
  const { size, mode } = statSync(path);
  expect(file.sizeBytes).toBe(size);
  expect(size).toBe(values.reduce((sum, value) => sum + storedBytes(value), 0));
  expect(mode & 0o777).toBe(0o600);
});

test('an empty file holds none', async () => {
  writeFileSync(path, '');
  expect(await read()).toEqual([]);
});

describe('told as wrong is', () => {
  const withLength = (length: number) => {
    const bytes = Buffer.alloc(4 + HEADER_BYTES);
    bytes.writeUInt32LE(length);
    return bytes;
  };

  test.each([0, HEADER_BYTES - 1, HEADER_BYTES + MAX_PAYLOAD_BYTES + 1, 0xffffffff])(
    'a length of %i bytes',
    async length => {
      writeFileSync(path, withLength(length));
      await expect(read()).rejects.toThrow(new NotOne(`a record of ${length} bytes is out of bounds`));
    },
  );

  test('a file that ends within a record, or within a length', async () => {
    const whole = Buffer.concat(valuesOf(80, 90).flatMap(value => [lengthOf(value), value]));
    for (const cut of [1, 3, 4, 50, 83, 85, 100, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, cut));
      await expect(read(), `cut to ${cut}`).rejects.toThrow(new NotOne('it is cut short'));
    }
    writeFileSync(path, whole.subarray(0, 84));
    expect(await read()).toEqual(valuesOf(80, 90).slice(0, 1));
  });

  test('not the longest record that there may be, only that it is not there', async () => {
    writeFileSync(path, withLength(HEADER_BYTES + MAX_PAYLOAD_BYTES));
    await expect(read()).rejects.toThrow(new NotOne('it is cut short'));
  });
});

test('neither records nor a manifest are written over what is there', async () => {
  await writeFlushed(path, 'a manifest');
  expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['a manifest', 0o600]);
  await expect(writeFlushed(path, 'another')).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(RecordFileWriter.create(path)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(readFileSync(path, 'utf8')).toBe('a manifest');
});

test('a record is named by its number and sixteen digits', () => {
  expect(nameRecord({ seq: 5, hash: 0xabcn })).toEqual({ seq: 5, hash: '0000000000000abc' });
});
