import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { modelDamaged } from './damage.js';
import { DIGESTS } from './identity.js';
import type { Kernels } from './kernels.js';

/** Rows of the embedding table: 8 000 pieces and two that the vocabulary does not name. */
export const VOCABULARY_ROWS = 8002;

/** A matrix that the dense kernel multiplies by; its values are packed while loading. */
interface MatrixSpec {
  readonly name: MatrixName;
  readonly rows: number;
  readonly columns: number;
}

/** A row of values taken as they are (bias, scale, table). */
interface ArraySpec {
  readonly name: ArrayName;
  readonly length: number;
}

/** Values that the code states itself (shapes, axes, epsilon): read past, but part of the digest. */
interface SkippedSpec {
  readonly skip: number;
}

type Layer = 'layer0' | 'layer1';
export type MatrixName = `${Layer}.${'qkv' | 'output' | 'conv1' | 'conv2'}` | 'layer0.residual' | 'hidden';
export type ArrayName =
  | `${MatrixName}.bias`
  | `${Layer}.${'attentionNorm' | 'feedForwardNorm'}.${'scale' | 'bias'}`
  | 'embeddings'
  | 'timescales';

/**
 * The tensors in the order in which the shards hold them (`weightsManifest` of the package's model.json; all values are
 * four bytes, little-endian). The order is pinned by the weights' digest, so the 250 KB of model.json need not be read.
 */
const FILE_ORDER: readonly (MatrixSpec | ArraySpec | SkippedSpec)[] = [
  { name: 'layer1.conv2', rows: 1536, columns: 512 },
  { name: 'layer1.conv1', rows: 512, columns: 1536 },
  { name: 'layer1.feedForwardNorm.scale', length: 512 },
  { name: 'layer1.feedForwardNorm.bias', length: 512 },
  { name: 'layer1.conv1.bias', length: 1536 },
  { name: 'layer1.conv2.bias', length: 512 },
  { skip: 1 },
  { name: 'layer1.attentionNorm.scale', length: 512 },
  { name: 'layer1.attentionNorm.bias', length: 512 },
  { name: 'layer1.qkv', rows: 512, columns: 1536 },
  { name: 'layer1.qkv.bias', length: 1536 },
  { skip: 5 },
  { name: 'layer1.output', rows: 512, columns: 512 },
  { name: 'layer1.output.bias', length: 512 },
  { name: 'layer0.conv2', rows: 1536, columns: 512 },
  { name: 'layer0.conv1', rows: 512, columns: 1536 },
  { name: 'layer0.feedForwardNorm.scale', length: 512 },
  { name: 'layer0.feedForwardNorm.bias', length: 512 },
  { skip: 1 },
  { name: 'layer0.conv1.bias', length: 1536 },
  { skip: 1 },
  { name: 'layer0.conv2.bias', length: 512 },
  { skip: 3 },
  { name: 'layer0.attentionNorm.scale', length: 256 },
  { skip: 1 },
  { name: 'layer0.attentionNorm.bias', length: 256 },
  { name: 'layer0.qkv', rows: 256, columns: 768 },
  { name: 'layer0.qkv.bias', length: 768 },
  { skip: 10 },
  { name: 'layer0.output', rows: 256, columns: 512 },
  { name: 'layer0.output.bias', length: 512 },
  { name: 'embeddings', length: VOCABULARY_ROWS * 256 },
  { name: 'timescales', length: 128 },
  { name: 'layer0.residual', rows: 256, columns: 512 },
  { name: 'layer0.residual.bias', length: 512 },
  { skip: 18 },
  { name: 'hidden', rows: 512, columns: 512 },
  { name: 'hidden.bias', length: 512 },
  { skip: 2 },
];

const BYTES = Float32Array.BYTES_PER_ELEMENT;

/** Bytes of all tensors together. */
export const WEIGHTS_BYTES = FILE_ORDER.reduce((sum, spec) => sum + lengthOf(spec) * BYTES, 0);

/** Bytes of the largest matrix: what staging must hold while it is packed. */
export const STAGING_BYTES = 1536 * 512 * BYTES;

/** Addresses of the loaded tensors in the kernels' memory. */
export interface Weights {
  readonly matrices: Readonly<Record<MatrixName, number>>;
  readonly arrays: Readonly<Record<ArrayName, number>>;
}

function lengthOf(spec: MatrixSpec | ArraySpec | SkippedSpec): number {
  if ('skip' in spec) return spec.skip;
  return 'rows' in spec ? spec.rows * spec.columns : spec.length;
}

/**
 * Reads the weights straight into the kernels' memory, so that no second copy ever exists, and checks their digest.
 * @param directory the package's dist/, with group1-shard1of7 … group1-shard7of7
 * @param base where the tensors go: WEIGHTS_BYTES from here are written
 * @param staging scratch of STAGING_BYTES
 * @throws CodedError MODEL_DAMAGED when a shard is missing, short, long or altered
 */
export function loadWeights(
  directory: string,
  kernels: Kernels,
  memory: WebAssembly.Memory,
  base: number,
  staging: number,
): Weights {
  const matrices: Partial<Record<MatrixName, number>> = {};
  const arrays: Partial<Record<ArrayName, number>> = {};
  const digest = createHash('sha256');
  const reader = new ShardReader(directory);
  try {
    let address = base;
    for (const spec of FILE_ORDER) {
      const bytes = new Uint8Array(memory.buffer, 'rows' in spec ? staging : address, lengthOf(spec) * BYTES);
      reader.read(bytes);
      digest.update(bytes);
      if ('skip' in spec) continue;
      if ('rows' in spec) {
        kernels.pack(staging, address, spec.rows, spec.columns);
        matrices[spec.name] = address;
      } else {
        arrays[spec.name] = address;
      }
      address += bytes.length;
    }
    reader.expectEnd();
  } finally {
    reader.close();
  }
  if (digest.digest('hex') !== DIGESTS.weights) throw modelDamaged(`the weights in ${directory} are altered`);
  return { matrices, arrays } as Weights;
}

const SHARDS = 7;

/** Reads the shards one after the other as if they were one file. */
class ShardReader {
  #shard = 0;
  #fd = -1;
  constructor(readonly directory: string) {}

  /** Fills `target` with what comes next. */
  read(target: Uint8Array): void {
    for (let filled = 0; filled < target.length; ) {
      const count = this.#readSome(target, filled);
      if (count === 0) throw modelDamaged(`the weights in ${this.directory} are cut short`);
      filled += count;
    }
  }

  expectEnd(): void {
    if (this.#readSome(new Uint8Array(1), 0) !== 0)
      throw modelDamaged(`the weights in ${this.directory} are too long`);
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }

  /** Number of bytes read into target[offset..]; 0 only behind the last shard. */
  #readSome(target: Uint8Array, offset: number): number {
    for (;;) {
      try {
        if (this.#fd !== -1) {
          const count = readSync(this.#fd, target, offset, target.length - offset, null);
          if (count > 0) return count;
        }
        this.close();
        if (this.#shard === SHARDS) return 0;
        this.#shard++;
        this.#fd = openSync(join(this.directory, `group1-shard${this.#shard}of${SHARDS}`), 'r');
      } catch (error) {
        throw modelDamaged(`a part of the weights in ${this.directory} cannot be read`, error);
      }
    }
  }
}
