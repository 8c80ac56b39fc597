import { readFileSync } from 'node:fs';
import { modelDamaged } from './damage.js';

/** What assembly/kernels.ts exports: addresses and counts are numbers, tensors f32 in the imported memory. */
export interface Kernels {
  heapBase(): number;
  pack(source: number, target: number, k: number, n: number): void;
  dense(
    a: number,
    b: number,
    bias: number,
    c: number,
    m: number,
    k: number,
    n: number,
    mode: DenseMode,
  ): void;
  layerNorm(x: number, scale: number, bias: number, y: number, rows: number, width: number): void;
  gather(ids: number, table: number, timing: number, y: number, rows: number, width: number): void;
  attention(
    qkv: number,
    y: number,
    weights: number,
    rows: number,
    width: number,
    heads: number,
    scale: number,
  ): void;
  mean(x: number, y: number, rows: number, width: number): void;
  tanhUnit(x: number, width: number): void;
}

/** What a dense layer does with its sums: store them, store their positive part, or add them to what is there. */
export const DENSE = { store: 0, relu: 1, add: 2 } as const;
export type DenseMode = (typeof DENSE)[keyof typeof DENSE];

/** Compiles the kernels next to this file over a memory of `sizeBytes`, of a fixed size. */
export function loadKernels(sizeBytes: number): { kernels: Kernels; memory: WebAssembly.Memory } {
  const pages = Math.ceil(sizeBytes / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const abort = () => {
    throw modelDamaged('a kernel aborted');
  };
  const module = new WebAssembly.Module(readFileSync(new URL('./kernels.wasm', import.meta.url)));
  const instance = new WebAssembly.Instance(module, { env: { memory, abort } });
  return { kernels: instance.exports as unknown as Kernels, memory };
}
