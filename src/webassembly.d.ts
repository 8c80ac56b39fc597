/**
 * The part of the WebAssembly JavaScript interface that the kernels use. TypeScript has it only in lib "dom", which would
 * let code in this program name browser globals that Node does not have.
 */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Memory {
    /** Sizes in pages of 64 KiB. */
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
    /** @returns the size before, in pages */
    grow(pages: number): number;
  }
  class Instance {
    constructor(
      module: Module,
      // biome-ignore lint/suspicious/noExplicitAny: imports are whatever the module names
      imports?: Record<string, Record<string, any>>,
    );
    readonly exports: Record<string, unknown>;
  }
}
