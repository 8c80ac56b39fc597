import { open } from 'node:fs/promises';
import type { BinaryCodes, CodesState } from './binary-codes.js';
import { type CodeBlocks, LANES } from './code-blocks.js';
import { COPY_BYTES, type FileCheck, indexDamaged, METRIC_NUMBERS, readFully } from './index-files.js';

/*
 * <name>.codes of a saved index, all numbers little-endian: a header of 12 u32 {magic, version, dimension, metric, rows, centroids,
 * the newest lesson's first centroid, the rows it was drawn from, the rows it described, 0, 0, 0}, the mean (f32, dimension), the
 * centroids (f32, each of the dimension rounded up to 8), then the blocks (see code-blocks.ts).
 */
const MAGIC = 0x4342_4f56; // "VOBC"
const VERSION = 1;
const HEADER_U32S = 12;

/** Writes and syncs the rows that `state` counts; more may be staged and committed meanwhile. */
export async function writeCodes(path: string, codes: BinaryCodes, state: CodesState): Promise<void> {
  const { rows, mean, centroids, lesson } = state;
  const { blocks } = codes;
  const header = Uint32Array.of(
    MAGIC,
    VERSION,
    codes.dimension,
    METRIC_NUMBERS[codes.metric],
    rows,
    centroids.length / blocks.paddedDimension,
    lesson.first,
    lesson.drawnFrom,
    lesson.described,
    0,
    0,
    0,
  );
  const file = await open(path, 'w', 0o600);
  try {
    for (const { buffer, byteOffset, byteLength } of [header, mean, centroids])
      await file.writeFile(Buffer.from(buffer, byteOffset, byteLength));
    const blocksBytes = blocksBytesOf(blocks, rows);
    const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, blocksBytes));
    for (let offset = 0; offset < blocksBytes; offset += COPY_BYTES) {
      const step = buffer.subarray(0, blocksBytes - offset);
      blocks.copy(offset, step);
      await file.writeFile(step);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Fills empty codes from their file.
 * @param rows that there must be
 * @param check is shown all of the file
 * @throws CodedError INDEX_DAMAGED if it is missing, of the wrong size, inconsistent, or made for another dimension or metric;
 *   what the check throws
 */
export async function readCodes(
  path: string,
  codes: BinaryCodes,
  rows: number,
  check: FileCheck,
): Promise<void> {
  const { dimension, metric, blocks } = codes;
  const { paddedDimension } = blocks;
  const file = await open(path, 'r').catch(error => {
    throw indexDamaged(path, 'it cannot be read', error);
  });
  try {
    const { size } = await file.stat();
    const fill = async (target: Buffer) => {
      await readFully(file, path, target);
      check.update(target);
    };
    const floats = async (length: number) => {
      const values = new Float32Array(length);
      await fill(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
      return values;
    };
    const header = new Uint32Array(HEADER_U32S);
    await fill(Buffer.from(header.buffer, header.byteOffset, header.byteLength));
    const [magic, version, savedDimension, savedMetric, savedRows, count, first, drawnFrom, described] =
      header as unknown as number[];
    if (magic !== MAGIC) throw indexDamaged(path, 'it is not a file of codes');
    if (version !== VERSION) throw indexDamaged(path, `it has format ${version}, this is format ${VERSION}`);
    if (savedDimension !== dimension || savedMetric !== METRIC_NUMBERS[metric] || savedRows !== rows) {
      throw indexDamaged(
        path,
        `it was written for dimension ${savedDimension}, metric ${savedMetric}, ${savedRows} rows, not for ` +
          `${dimension}, ${METRIC_NUMBERS[metric]}, ${rows}`,
      );
    }
    const blocksBytes = blocksBytesOf(blocks, rows);
    const expected = 4 * (HEADER_U32S + dimension + count! * paddedDimension) + blocksBytes;
    if (size !== expected) throw indexDamaged(path, `it has ${size} bytes, not ${expected}`);
    const state = {
      rows,
      mean: await floats(dimension),
      centroids: await floats(count! * paddedDimension),
      lesson: { first: first!, drawnFrom: drawnFrom!, described: described! },
    };
    blocks.reserve(rows);
    const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, blocksBytes));
    for (let offset = 0; offset < blocksBytes; offset += COPY_BYTES) {
      const step = buffer.subarray(0, blocksBytes - offset);
      await fill(step);
      blocks.restore(offset, step);
    }
    check.end();
    if (first! >= count! || !codes.restore(state))
      throw indexDamaged(path, 'it names a centroid that it lacks');
  } finally {
    await file.close();
  }
}

const blocksBytesOf = ({ blockBytes }: CodeBlocks, rows: number) => Math.ceil(rows / LANES) * blockBytes;
