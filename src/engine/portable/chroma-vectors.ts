import { existsSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../domain/limits.js';
import type { Metric } from '../../domain/model.js';
import { readPickle } from './pickle.js';

/** Of ids and labels: some hundred bytes an id. Beyond it the vectors are not read. */
const MAX_PICKLE_BYTES = 1024 * 1024 * 1024;

/**
 * The vectors of a segment that Chroma wrote to its folder, by hnswlib: header.bin (i32 version, then u64: offset of level 0, room, elements, bytes of an
 * element, offset of its label, offset of its vector), data_level0.bin (the elements), index_metadata.pickle (ids and labels). Where the metric is cosine
 * the vectors are of length 1 there, and length.bin (f32) has the lengths that they came with.
 */
export class ChromaVectors {
  private constructor(
    private readonly file: FileHandle,
    private readonly slotOf: ReadonlyMap<string, number>,
    private readonly layout: Layout,
    private readonly dimension: number,
    private readonly lengths: Float32Array | undefined,
  ) {}

  /**
   * @returns undefined where nothing was written to the folder yet
   * @throws RangeError for files that are not as described
   */
  static async open(folder: string, dimension: number, metric: Metric): Promise<ChromaVectors | undefined> {
    const pickle = join(folder, 'index_metadata.pickle');
    if (!existsSync(pickle)) return undefined;
    const bytes = await readFile(pickle);
    if (bytes.length > MAX_PICKLE_BYTES)
      throw new RangeError(`index_metadata.pickle has ${bytes.length} bytes`);
    const metadata = readPickle(bytes);
    const labelOf = metadata instanceof Map ? metadata.get('id_to_label') : undefined;
    if (!(labelOf instanceof Map)) throw new RangeError('index_metadata.pickle has no id_to_label');
    const layout = readLayout(await readFile(join(folder, 'header.bin')), dimension);
    const lengths = metric === 'cosine' ? await readLengths(join(folder, 'length.bin'), layout) : undefined;
    const file = await open(join(folder, 'data_level0.bin'), 'r');
    try {
      const slotOfLabel = await slotsByLabel(file, layout);
      const slotOf = new Map<string, number>();
      for (const [id, label] of labelOf) {
        const slot = slotOfLabel.get(Number(label));
        if (typeof id === 'string' && slot !== undefined) slotOf.set(id, slot);
      }
      return new ChromaVectors(file, slotOf, layout, dimension, lengths);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async get(id: string): Promise<Float32Array | undefined> {
    const slot = this.slotOf.get(id);
    if (slot === undefined) return undefined;
    const { elementBytes, vectorAt } = this.layout;
    const vector = new Float32Array(this.dimension);
    const bytes = new Uint8Array(vector.buffer);
    const { bytesRead } = await this.file.read(bytes, 0, bytes.length, slot * elementBytes + vectorAt);
    if (bytesRead !== bytes.length) throw new RangeError('data_level0.bin is cut off');
    const length = this.lengths?.[slot] ?? 1;
    return length === 1 ? vector : vector.map(component => component * length);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

interface Layout {
  readonly elements: number;
  readonly elementBytes: number;
  readonly labelAt: number;
  readonly vectorAt: number;
}

const HEADER_VERSION = 1;
const LABEL_BYTES = 8;

function readLayout(header: Buffer, dimension: number): Layout {
  if (header.length < 52 || header.readInt32LE(0) !== HEADER_VERSION)
    throw new RangeError('header.bin is of another version');
  const field = (index: number): number => Number(header.readBigUInt64LE(4 + 8 * index));
  const [elements, elementBytes, labelAt, vectorAt] = [field(2), field(3), field(4), field(5)];
  const isSound =
    dimension <= LIMITS.dimension &&
    labelAt - vectorAt === 4 * dimension &&
    labelAt + LABEL_BYTES <= elementBytes &&
    elementBytes <= 1024 * 1024;
  if (!isSound) throw new RangeError(`header.bin does not describe vectors of ${dimension} dimensions`);
  return { elements, elementBytes, labelAt, vectorAt };
}

async function readLengths(path: string, { elements }: Layout): Promise<Float32Array> {
  const bytes = await readFile(path);
  if (bytes.length < 4 * elements) throw new RangeError('length.bin is cut off');
  return new Float32Array(new Uint8Array(bytes.subarray(0, 4 * elements)).buffer);
}

/** Elements that are read at once. */
const PIECE_BYTES = 4 * 1024 * 1024;

async function slotsByLabel(
  file: FileHandle,
  { elements, elementBytes, labelAt }: Layout,
): Promise<Map<number, number>> {
  const { size } = await file.stat();
  if (elements * elementBytes > size) throw new RangeError('data_level0.bin is cut off');
  const slots = new Map<number, number>();
  const perPiece = Math.max(1, Math.floor(PIECE_BYTES / elementBytes));
  const piece = Buffer.alloc(perPiece * elementBytes);
  for (let first = 0; first < elements; first += perPiece) {
    const count = Math.min(perPiece, elements - first);
    await file.read(piece, 0, count * elementBytes, first * elementBytes);
    for (let i = 0; i < count; i++)
      slots.set(Number(piece.readBigUInt64LE(i * elementBytes + labelAt)), first + i);
  }
  return slots;
}
