import type { ByteReader, ByteWriter } from './bytes.js';

/*
 * Numbers in arrays as narrow as the largest of them allows, for what there are millions of: most columns of a projection hold
 * small numbers, and no store need pay for what a larger one may come to.
 */
const KINDS = [Uint8Array, Uint16Array, Uint32Array, Float64Array] as const;

const ALIGNMENT = 8;

/** Numbers of 1, 2 or 4 bytes each, whole and not negative, or any of 8. */
export type Numbers = InstanceType<(typeof KINDS)[number]>;

/** Room for `length` numbers below 256, all zero. */
export const noNumbers = (length: number): Numbers => new Uint8Array(length);

/** True if `numbers` can take `value` as it is. */
export const canHold = (numbers: Numbers, value: number): boolean => fits(value, numbers.BYTES_PER_ELEMENT);

/** By bytes of each. */
const LIMITS: readonly number[] = [0, 2 ** 8, 2 ** 16, 0, 2 ** 32];

const fits = (value: number, sizeBytes: number): boolean =>
  sizeBytes === 8 || (value >= 0 && value < LIMITS[sizeBytes]! && Number.isInteger(value));

/** A copy in the narrowest array that can take `value` besides. @param length numbers that it has room for, at least as many as now */
export function copyFor(numbers: Numbers, value: number, length: number): Numbers {
  const Kind = KINDS.find(
    ({ BYTES_PER_ELEMENT }) =>
      BYTES_PER_ELEMENT >= numbers.BYTES_PER_ELEMENT && fits(value, BYTES_PER_ELEMENT),
  )!;
  const copy = new Kind(length);
  copy.set(numbers);
  return copy;
}

/** The first `count` numbers: bytes of each (u32), then all of them, at a multiple of 8. */
export function writeNumbers(writer: ByteWriter, numbers: Numbers, count: number): void {
  writer.u32(numbers.BYTES_PER_ELEMENT);
  writer.align(ALIGNMENT);
  writer.raw(bytesOf(numbers.subarray(0, count)));
}

/**
 * Reads `count` numbers: in place where what is read lies in memory as it lay in its file, so that a large one is not in memory
 * twice, or else a copy.
 * @throws CodedError PROJECTION_FAILED
 */
export function readNumbers(reader: ByteReader, count: number): Numbers {
  const sizeBytes = reader.u32();
  const Kind = KINDS.find(({ BYTES_PER_ELEMENT }) => BYTES_PER_ELEMENT === sizeBytes);
  if (Kind === undefined) throw reader.damaged(`numbers of ${sizeBytes} bytes`);
  reader.align(ALIGNMENT);
  const bytes = reader.raw(count * sizeBytes);
  const isAligned = bytes.byteOffset % sizeBytes === 0;
  const { buffer, byteOffset } = isAligned ? bytes : Uint8Array.from(bytes);
  return new Kind(buffer as ArrayBuffer, byteOffset, count);
}

/** Every platform that Node runs on is little-endian. */
const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers) =>
  new Uint8Array(buffer, byteOffset, byteLength);
