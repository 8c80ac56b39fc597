import { fstatSync, readSync } from 'node:fs';
import type { Metric } from '../../domain/model.js';
import type { GraphParams } from './graph-engine.js';
import { indexDamaged, withFile } from './index-files.js';
import { IN_GRAPH } from './row-table.js';
import { rowView, type SharedRows } from './vector-slab.js';

/*
 * The file of usearch 2.25, as `save_to_stream` of index_dense.hpp and of index.hpp write it (little-endian, no checksum):
 *   0 count u32 · 4 bytes of a vector u32 · 8 count vectors, bf16
 *   then the head, 64 bytes: "usearch" · 7 version 3 x u16 · 13 metric u8 · 14 kinds of scalar, key, slot 3 x u8 · 17 count u64 ·
 *     25 deleted u64 · 33 dimension u64 · 41 multi u8 · zeros
 *   then of the graph: 0 count u64 · 8 m u64 · 16 m of level 0 u64 · 24 highest level u64 · 32 entry node u64 · 40 levels, count x i16
 *   then for each node: key u64 · level i16 · for level 0: u32 number, 2m x u32 node · for each level above: u32 number, m x u32 node
 * `load` and `view` check sizes only. Hence this reader, which takes nothing on trust.
 */
const MAJOR = 2;
const MINOR = 25;
const METRIC_CODES: Record<Metric, number> = { cosine: 0x69, ip: 0x69, l2: 0x65 };
const BF16 = 4;
const U64_KEYS = 14;
const U32_SLOTS = 15;

const VECTORS_AT = 8;
const HEAD_BYTES = 64;
const GRAPH_HEAD_BYTES = 40;
const NODE_HEAD_BYTES = 10;
const READ_BYTES = 4 * 1024 * 1024;

/** See GraphEngineKind.check. */
export function checkUsearchFile(
  path: string,
  params: GraphParams,
  flags: Uint8Array,
  slab: SharedRows,
): Uint32Array {
  return withFile(path, descriptor => {
    const file = new GraphFile(path, descriptor, params);
    const rows = file.readRows(flags);
    file.checkVectors(rows, slab);
    return file.unreached(rows);
  });
}

class GraphFile {
  readonly #count: number;
  readonly #vectorBytes: number;
  readonly #levels: Int16Array;
  readonly #entry: number;
  readonly #nodesAt: number;

  constructor(
    readonly path: string,
    readonly descriptor: number,
    readonly params: GraphParams,
  ) {
    const { m, dimension } = params;
    this.#vectorBytes = dimension * 2;
    const sizeBytes = fstatSync(descriptor).size;
    if (sizeBytes < VECTORS_AT) this.#damaged('it ends within its header');
    const first = this.#read(0, VECTORS_AT);
    this.#count = first.getUint32(0, true);
    const headAt = VECTORS_AT + this.#count * this.#vectorBytes;
    const graphAt = headAt + HEAD_BYTES;
    const levelsAt = graphAt + GRAPH_HEAD_BYTES;
    this.#nodesAt = levelsAt + this.#count * 2;
    if (this.#count < 1 || first.getUint32(4, true) !== this.#vectorBytes) {
      this.#damaged(`its header gives ${this.#count} vectors of ${first.getUint32(4, true)} bytes`);
    }
    if (sizeBytes < this.#nodesAt) this.#damaged(`it ends before its ${this.#count} rows do`);

    this.#checkHead(this.#read(headAt, HEAD_BYTES));
    const graph = this.#read(graphAt, GRAPH_HEAD_BYTES);
    const maxLevel = u64(graph, 24);
    this.#entry = u64(graph, 32);
    if (u64(graph, 0) !== this.#count) this.#damaged(`its graph gives ${u64(graph, 0)} rows`);
    if (u64(graph, 8) !== m || u64(graph, 16) !== m * 2) this.#damaged(`its graph is not one of m ${m}`);

    const levels = this.#read(levelsAt, this.#count * 2);
    this.#levels = new Int16Array(this.#count);
    let nodesBytes = 0;
    for (let node = 0; node < this.#count; node++) {
      const level = levels.getInt16(node * 2, true);
      if (level < 0 || level > maxLevel) this.#damaged(`node ${node} has the level ${level}`);
      this.#levels[node] = level;
      nodesBytes += this.#nodeBytes(level);
    }
    if (sizeBytes !== this.#nodesAt + nodesBytes) this.#damaged('its length is not that of its links');
    if (this.#entry >= this.#count || this.#levels[this.#entry] !== maxLevel) {
      this.#damaged('its entry node is not on its highest level');
    }
  }

  /**
   * Checks the nodes' levels and links, and that the keys are the rows that `flags` says, each once.
   * @returns the row of each node
   */
  readRows(flags: Uint8Array): Uint32Array {
    const expected = flags.reduce((count, flag) => count + (flag & IN_GRAPH ? 1 : 0), 0);
    if (expected !== this.#count) this.#damaged(`it holds ${this.#count} rows, not ${expected}`);
    const seen = new Uint8Array(flags.length);
    const rows = new Uint32Array(this.#count);
    this.#eachNode((node, view, at) => {
      const row = u64(view, at);
      if (row >= flags.length || !(flags[row]! & IN_GRAPH) || seen[row]) {
        this.#damaged(`node ${node} has the key ${row}, which is not a row of the graph or comes twice`);
      }
      seen[row] = 1;
      rows[node] = row;
      // It is read from here when the graph is written again.
      if (view.getInt16(at + 8, true) !== this.#levels[node]) this.#damaged(`node ${node} has two levels`);
      this.#checkLinks(view, at + NODE_HEAD_BYTES, node);
    });
    return rows;
  }

  /**
   * Rows that searches may not meet, since no links of level 0 lead there from the entry node (a walk may come down on one from above): where several threads add to a graph of usearch, one may
   * overwrite the link that another has just made, of one row in a few hundred the last.
   * @param rows of the nodes, whose links were checked
   */
  unreached(rows: Uint32Array): Uint32Array {
    const reached = new Uint8Array(this.#count);
    reached[this.#entry] = 1;
    // From the start to the end again and again, until nothing is new: a dozen times, in memory that does not grow with the links.
    for (let before = 0, count = 1; count > before; ) {
      before = count;
      this.#eachNode((node, view, at) => {
        if (reached[node] === 0) return;
        const number = view.getUint32(at + NODE_HEAD_BYTES, true);
        for (let i = 1; i <= number; i++) {
          const to = view.getUint32(at + NODE_HEAD_BYTES + i * 4, true);
          count += 1 - reached[to]!;
          reached[to] = 1;
        }
      });
    }
    return rows.filter((_, node) => reached[node] === 0).sort();
  }

  #eachNode(visit: (node: number, view: DataView, at: number) => void): void {
    let position = this.#nodesAt;
    for (let first = 0; first < this.#count; ) {
      let end = first;
      let bytes = 0;
      while (end < this.#count && bytes < READ_BYTES) bytes += this.#nodeBytes(this.#levels[end++]!);
      const view = this.#read(position, bytes);
      let at = 0;
      for (let node = first; node < end; node++) {
        visit(node, view, at);
        at += this.#nodeBytes(this.#levels[node]!);
      }
      position += bytes;
      first = end;
    }
  }

  /** Vectors must be the slab's, rounded to bf16 either way: which way is the processor's business. */
  checkVectors(rows: Uint32Array, slab: SharedRows): void {
    const { dimension } = slab;
    const step = Math.max(1, Math.floor(READ_BYTES / this.#vectorBytes));
    for (let first = 0; first < this.#count; first += step) {
      const count = Math.min(step, this.#count - first);
      const view = this.#read(VECTORS_AT + first * this.#vectorBytes, count * this.#vectorBytes);
      // The file's numbers are little-endian, and so is every machine that has WebAssembly and usearch.
      const halves = new Uint16Array(view.buffer);
      for (let i = 0; i < count; i++) {
        const vector = rowView(slab.buffer, slab.rowBytes, dimension, rows[first + i]!);
        const words = new Uint32Array(vector.buffer, vector.byteOffset, dimension);
        const at = i * dimension;
        for (let component = 0; component < dimension; component++) {
          if (!isRounded(words[component]!, halves[at + component]!)) {
            this.#damaged(`row ${rows[first + i]} has another vector than the index`);
          }
        }
      }
    }
  }

  #checkHead(head: DataView): void {
    const { dimension, metric } = this.params;
    if (Buffer.from(head.buffer, 0, 7).toString('latin1') !== 'usearch') {
      this.#damaged('its head is not where it should be');
    }
    const [major, minor, patch] = [7, 9, 11].map(at => head.getUint16(at, true));
    if (major !== MAJOR || minor !== MINOR) {
      this.#damaged(
        `it was written by usearch ${major}.${minor}.${patch}, and ${MAJOR}.${MINOR} is what is known here`,
      );
    }
    const asBuilt =
      head.getUint8(13) === METRIC_CODES[metric] &&
      head.getUint8(14) === BF16 &&
      head.getUint8(15) === U64_KEYS &&
      head.getUint8(16) === U32_SLOTS &&
      u64(head, 17) === this.#count &&
      u64(head, 25) === 0 &&
      u64(head, 33) === dimension &&
      head.getUint8(41) === 0;
    if (!asBuilt) {
      this.#damaged(
        `its head is not that of ${this.#count} rows of dimension ${dimension}, metric ${metric}, in bf16`,
      );
    }
  }

  /** Each link of a level must lead to a node that reaches it: usearch follows them unchecked. */
  #checkLinks(view: DataView, listAt: number, node: number): void {
    let at = listAt;
    const highest = this.#levels[node]!;
    for (let level = 0; level <= highest; level++) {
      const most = level === 0 ? this.params.m * 2 : this.params.m;
      const number = view.getUint32(at, true);
      if (number > most) this.#damaged(`node ${node} has ${number} links, more than ${most}`);
      for (let i = 1; i <= number; i++) {
        const to = view.getUint32(at + i * 4, true);
        if (to >= this.#count) this.#damaged(`node ${node} links to one that does not exist`);
        if (this.#levels[to]! < level) {
          this.#damaged(`node ${node} links to one that is not on level ${level}`);
        }
      }
      at += 4 + most * 4;
    }
  }

  #nodeBytes(level: number): number {
    const { m } = this.params;
    return NODE_HEAD_BYTES + 4 + m * 8 + level * (4 + m * 4);
  }

  #read(position: number, sizeBytes: number): DataView {
    const bytes = new Uint8Array(sizeBytes);
    for (let done = 0; done < sizeBytes; ) {
      const read = readSync(this.descriptor, bytes, done, sizeBytes - done, position + done);
      if (read === 0) this.#damaged('it became shorter while it was read');
      done += read;
    }
    return new DataView(bytes.buffer);
  }

  #damaged(what: string): never {
    throw indexDamaged(this.path, what);
  }
}

const u64 = (view: DataView, at: number) => Number(view.getBigUint64(at, true));

/** True if the bf16 number is the f32 one or one of its two neighbours; of a number too small for bf16's exponents, zero as well. */
function isRounded(f32: number, bf16: number): boolean {
  const below = f32 >>> 16;
  if (bf16 === below || (bf16 === below + 1 && (f32 & 0xffff) !== 0)) return true;
  return (f32 & 0x7f80_0000) === 0 && (bf16 & 0x7fff) === 0;
}
