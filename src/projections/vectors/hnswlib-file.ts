import { fstatSync, readSync } from 'node:fs';
import type { GraphParams } from './graph-engine.js';
import { indexDamaged, withFile } from './index-files.js';
import { DEAD, IN_GRAPH } from './row-table.js';
import { rowView, type SharedRows } from './vector-slab.js';

/*
 * hnswlib's file, as `saveIndex` of hnswalg.h writes it (64-bit, little-endian, no checksum):
 *   0 offsetLevel0 u64 · 8 maxElements u64 · 16 count u64 · 24 bytesPerElement u64 · 32 labelOffset u64 · 40 vectorOffset u64
 *   48 maxLevel i32 · 52 entryPoint u32 · 56 maxM u64 · 64 maxM0 u64 · 72 M u64 · 80 mult f64 · 88 efConstruction u64
 *   96 count elements {links of level 0: u16 number, u8 1 if marked deleted, u8; maxM0 x u32 element; vector f32; label u64}
 *   then for each element: u32 length of its upper levels in bytes, then per level {u32 number, maxM x u32 element}
 * `loadIndex` checks its length only: of 150 files with one bit flipped it crashed the process, or a later search did,
 * in 21 cases. Hence this reader, which takes nothing on trust.
 */
const HEADER_BYTES = 96;
const READ_BYTES = 512 * 1024;

/** See GraphEngineKind.check. */
export function checkHnswlibFile(
  path: string,
  params: GraphParams,
  flags: Uint8Array,
  slab: SharedRows,
): Uint32Array {
  withFile(path, descriptor => {
    const file = new GraphFile(path, descriptor, params);
    const levels = file.readLevels();
    file.checkElements(flags, slab);
    file.checkUpperLinks(levels);
  });
  // One thread adds all rows, and overwrites no other's links.
  return new Uint32Array(0);
}

class GraphFile {
  readonly #count: number;
  readonly #maxLevel: number;
  readonly #entryPoint: number;
  readonly #maxLinks0: number;
  readonly #vectorAt: number;
  readonly #labelAt: number;
  readonly #elementBytes: number;
  readonly #levelBytes: number;
  readonly #upper: DataView;

  constructor(
    readonly path: string,
    readonly descriptor: number,
    readonly params: GraphParams,
  ) {
    const { m, dimension, efConstruction } = params;
    this.#maxLinks0 = m * 2;
    this.#vectorAt = 4 + this.#maxLinks0 * 4;
    this.#labelAt = this.#vectorAt + dimension * 4;
    this.#elementBytes = this.#labelAt + 8;
    this.#levelBytes = 4 + m * 4;

    const sizeBytes = fstatSync(descriptor).size;
    if (sizeBytes < HEADER_BYTES) this.#damaged('it ends within its header');
    const header = this.#read(0, HEADER_BYTES);
    const u64 = (at: number) => Number(header.getBigUint64(at, true));
    this.#count = u64(16);
    this.#maxLevel = header.getInt32(48, true);
    this.#entryPoint = header.getUint32(52, true);
    const asBuilt =
      u64(0) === 0 &&
      u64(24) === this.#elementBytes &&
      u64(32) === this.#labelAt &&
      u64(40) === this.#vectorAt &&
      u64(56) === m &&
      u64(64) === this.#maxLinks0 &&
      u64(72) === m &&
      Math.abs(header.getFloat64(80, true) - 1 / Math.log(m)) < 1e-9 &&
      u64(88) === Math.max(efConstruction, m);
    if (!asBuilt) {
      this.#damaged(
        `its header is not that of a graph of dimension ${dimension}, m ${m}, efConstruction ${efConstruction}`,
      );
    }
    // The capacity is allocated on load: bounded by what HnswlibEngine's growth can reach.
    if (this.#count < 1 || u64(8) < this.#count || u64(8) > this.#count * 2 + 1024) {
      this.#damaged(`its header gives ${this.#count} rows and room for ${u64(8)}`);
    }
    const upperAt = HEADER_BYTES + this.#count * this.#elementBytes;
    if (sizeBytes < upperAt + this.#count * 4) this.#damaged(`it ends before its ${this.#count} rows do`);
    this.#upper = this.#read(upperAt, sizeBytes - upperAt);
  }

  /** The highest level of each element, from the sizes of their upper links. */
  readLevels(): Uint8Array {
    const levels = new Uint8Array(this.#count);
    let at = 0;
    for (let element = 0; element < this.#count; element++) {
      if (at + 4 > this.#upper.byteLength) this.#damaged('it ends within its upper levels');
      const bytes = this.#upper.getUint32(at, true);
      const level = bytes / this.#levelBytes;
      if (!Number.isInteger(level) || level > this.#maxLevel) {
        this.#damaged(`element ${element} has ${bytes} bytes of upper levels`);
      }
      levels[element] = level;
      at += 4 + bytes;
    }
    if (at !== this.#upper.byteLength) this.#damaged('its length is not that of its links');
    if (this.#entryPoint >= this.#count || levels[this.#entryPoint] !== this.#maxLevel) {
      this.#damaged('its entry point is not on its highest level');
    }
    return levels;
  }

  /** Level 0: links, marks, vectors, and that the labels are the rows that `flags` says, each once. */
  checkElements(flags: Uint8Array, slab: SharedRows): void {
    const expected = flags.reduce((count, flag) => count + (flag & IN_GRAPH ? 1 : 0), 0);
    if (expected !== this.#count) this.#damaged(`it holds ${this.#count} rows, not ${expected}`);
    const seen = new Uint8Array(flags.length);
    const step = Math.min(this.#count, Math.max(1, Math.floor(READ_BYTES / this.#elementBytes)));
    // One buffer for all steps: what the allocator was once given it keeps.
    const bytes = new Uint8Array(step * this.#elementBytes);
    for (let first = 0; first < this.#count; first += step) {
      const count = Math.min(step, this.#count - first);
      const at = HEADER_BYTES + first * this.#elementBytes;
      const view = this.#readInto(bytes.subarray(0, count * this.#elementBytes), at);
      for (let i = 0; i < count; i++) {
        const at = i * this.#elementBytes;
        this.#checkLinks(view, at, this.#maxLinks0, first + i);
        const row = Number(view.getBigUint64(at + this.#labelAt, true));
        if (row >= flags.length || !(flags[row]! & IN_GRAPH) || seen[row]) {
          this.#damaged(
            `element ${first + i} has the label ${row}, which is not a row of the graph or comes twice`,
          );
        }
        seen[row] = 1;
        const marked = view.getUint8(at + 2);
        if (marked !== (flags[row]! & DEAD ? 1 : 0)) this.#damaged(`row ${row} has the mark ${marked}`);
        const vector = rowView(slab.buffer, slab.rowBytes, slab.dimension, row);
        for (let component = 0; component < vector.length; component++) {
          if (view.getFloat32(at + this.#vectorAt + component * 4, true) !== vector[component]) {
            this.#damaged(`row ${row} has another vector than the index`);
          }
        }
      }
    }
  }

  /** Links above level 0 must lead to elements that reach that level: hnswlib follows them unchecked. */
  checkUpperLinks(levels: Uint8Array): void {
    let at = 0;
    for (let element = 0; element < this.#count; element++) {
      at += 4;
      for (let level = 1; level <= levels[element]!; level++) {
        const number = this.#checkLinks(this.#upper, at, this.params.m, element);
        for (let i = 1; i <= number; i++) {
          if (levels[this.#upper.getUint32(at + i * 4, true)]! < level) {
            this.#damaged(`element ${element} links to one that is not on level ${level}`);
          }
        }
        at += this.#levelBytes;
      }
    }
  }

  /** @returns how many links the list at `at` holds */
  #checkLinks(view: DataView, at: number, most: number, element: number): number {
    const number = view.getUint16(at, true);
    if (number > most) this.#damaged(`element ${element} has ${number} links, more than ${most}`);
    for (let i = 1; i <= number; i++) {
      if (view.getUint32(at + i * 4, true) >= this.#count) {
        this.#damaged(`element ${element} links to one that does not exist`);
      }
    }
    return number;
  }

  #read(position: number, sizeBytes: number): DataView {
    return this.#readInto(new Uint8Array(sizeBytes), position);
  }

  #readInto(bytes: Uint8Array, position: number): DataView {
    for (let done = 0; done < bytes.length; ) {
      const read = readSync(this.descriptor, bytes, done, bytes.length - done, position + done);
      if (read === 0) this.#damaged('it became shorter while it was read');
      done += read;
    }
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #damaged(what: string): never {
    throw indexDamaged(this.path, what);
  }
}
