/**
 * HEAD: a small file beside the log that remembers how far the log reached, since LevelDB cannot show that it lost its
 * tail. Two slots are written in turn, so that a torn write leaves the other one.
 *
 *   off size   (slot 0 at byte 0, slot 1 at byte 4096; all little-endian)
 *    0   8   "MVSHEAD1"
 *    8   4   slot format version: 1, or 2 once anything was cut off the log
 *   12   4   intent: 0 none, 1 the store is being created, 2 closed cleanly, 3 (version 2) the log is being cut
 *   16   8   counter: the valid slot with the higher one counts
 *   24  16   store id
 *   40   4   epoch
 *   44   4   zero
 *   48   8   seq
 *   56   8   record hash at seq
 *   64  16   owner nonce
 *   80   8   wall time, ms
 *   88   8   lineage seq: the genesis or fork record that gave the store its id; 0 before there is one
 *   96   8   version 2: seq of the record that began the epoch (that will begin it, with intent 3); else zero
 *  104   8   intent 3: seq of the last record of the log that is being cut; else zero
 *  112   8   intent 3: its hash; else zero
 *  120   8   xxh64 of bytes 0..119
 */
import {
  closeSync,
  fdatasync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { WalError } from './errors.js';
import { exists } from './exists.js';
import { xxh64 } from './hash.js';

const MAGIC = 'MVSHEAD1';
/** A program that knows only the first cannot know the record type `epoch` either, and must refuse the store. */
const SLOT_VERSION = { plain: 1, epochs: 2 } as const;
const SLOT_STRIDE = 4096;
const SLOT_BYTES = 128;
export const HEAD_FILE_BYTES = SLOT_STRIDE + SLOT_BYTES;

/** What the process that wrote the slot was about to do. Numbers on disk never change meaning. */
export const Intent = { none: 0, create: 1, closed: 2, truncate: 3 } as const;

export interface HeadProof {
  readonly counter: number;
  readonly intent: number;
  /** 32 hex digits. */
  readonly storeId: string;
  readonly epoch: number;
  readonly seq: number;
  readonly hash: bigint;
  /** 32 hex digits: the process that wrote it. */
  readonly nonce: string;
  readonly wallMs: number;
  /** Seq of the genesis or fork record that gave the store its id. */
  readonly lineageSeq: number;
  /** Seq of the record that began the epoch; 0 in the first epoch of a lineage. */
  readonly epochSeq: number;
  /** With Intent.truncate alone: the last record of the log that is being cut. `seq` and `hash` are then the record that stays. */
  readonly cut?: { readonly seq: number; readonly hash: bigint } | undefined;
}

/** Encodes one slot (exported for tests and FORMAT.md's example). */
export function encodeSlot(proof: HeadProof): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES);
  slot.write(MAGIC, 0, 'latin1');
  const cutting = proof.intent === Intent.truncate;
  slot.writeUInt32LE(cutting || proof.epochSeq > 0 ? SLOT_VERSION.epochs : SLOT_VERSION.plain, 8);
  slot.writeUInt32LE(proof.intent, 12);
  slot.writeBigUInt64LE(BigInt(proof.counter), 16);
  slot.write(proof.storeId, 24, 'hex');
  slot.writeUInt32LE(proof.epoch, 40);
  slot.writeBigUInt64LE(BigInt(proof.seq), 48);
  slot.writeBigUInt64LE(proof.hash, 56);
  slot.write(proof.nonce, 64, 'hex');
  slot.writeBigUInt64LE(BigInt(proof.wallMs), 80);
  slot.writeBigUInt64LE(BigInt(proof.lineageSeq), 88);
  slot.writeBigUInt64LE(BigInt(proof.epochSeq), 96);
  if (cutting !== (proof.cut !== undefined)) throw new RangeError('what is cut and its intent go together');
  if (proof.cut !== undefined) {
    slot.writeBigUInt64LE(BigInt(proof.cut.seq), 104);
    slot.writeBigUInt64LE(proof.cut.hash, 112);
  }
  slot.writeBigUInt64LE(xxh64(slot.subarray(0, 120)), 120);
  return slot;
}

type Slot =
  | { kind: 'valid'; proof: HeadProof }
  | { kind: 'empty' }
  | { kind: 'bad' }
  | { kind: 'newer'; what: string };

function decodeSlot(slot: Buffer): Slot {
  if (slot.every(byte => byte === 0)) return { kind: 'empty' };
  if (slot.length < SLOT_BYTES || slot.readBigUInt64LE(120) !== xxh64(slot.subarray(0, 120)))
    return { kind: 'bad' };
  if (slot.toString('latin1', 0, 8) !== MAGIC) return { kind: 'bad' };
  const version = slot.readUInt32LE(8);
  if (version < SLOT_VERSION.plain || version > SLOT_VERSION.epochs)
    return {
      kind: 'newer',
      what: `has format version ${version}; this program reads versions ${SLOT_VERSION.plain} and ${SLOT_VERSION.epochs}`,
    };
  const intent = slot.readUInt32LE(12);
  // What is about to be done to a log must be understood before it is touched.
  if (intent > (version === SLOT_VERSION.plain ? Intent.closed : Intent.truncate))
    return { kind: 'newer', what: `has the intent ${intent}, which this program does not know` };
  return {
    kind: 'valid',
    proof: {
      intent,
      counter: Number(slot.readBigUInt64LE(16)),
      storeId: slot.toString('hex', 24, 40),
      epoch: slot.readUInt32LE(40),
      seq: Number(slot.readBigUInt64LE(48)),
      hash: slot.readBigUInt64LE(56),
      nonce: slot.toString('hex', 64, 80),
      wallMs: Number(slot.readBigUInt64LE(80)),
      lineageSeq: Number(slot.readBigUInt64LE(88)),
      epochSeq: version === SLOT_VERSION.plain ? 0 : Number(slot.readBigUInt64LE(96)),
      ...(intent === Intent.truncate && {
        cut: { seq: Number(slot.readBigUInt64LE(104)), hash: slot.readBigUInt64LE(112) },
      }),
    },
  };
}

/** @returns how many bytes there are: fewer than asked for only at the end of the file */
function readFully(fd: number, into: Buffer, offset: number): number {
  let filled = 0;
  for (let got = 1; got > 0 && filled < into.length; filled += got)
    got = readSync(fd, into, filled, into.length - filled, offset + filled);
  return filled;
}

function writeFully(fd: number, bytes: Buffer, offset: number): void {
  for (let written = 0; written < bytes.length; )
    written += writeSync(fd, bytes, written, bytes.length - written, offset + written);
}

function readSlots(fd: number): Slot[] {
  return [0, SLOT_STRIDE].map(offset => {
    const slot = Buffer.alloc(SLOT_BYTES);
    return decodeSlot(slot.subarray(0, readFully(fd, slot, offset)));
  });
}

function newest(slots: Slot[], path: string): HeadProof {
  const newer = slots.find(slot => slot.kind === 'newer');
  if (newer?.kind === 'newer')
    throw new WalError(
      'WAL_NEWER_FORMAT',
      `${path} ${newer.what}`,
      'Open the store with the program version that wrote it, or a later one.',
    );
  const valid = slots.flatMap(slot => (slot.kind === 'valid' ? [slot.proof] : []));
  const best = valid.sort((a, b) => b.counter - a.counter)[0];
  if (best === undefined)
    throw new WalError(
      'WAL_HEAD_DAMAGED',
      `neither slot of ${path} is readable: how far the log reached cannot be proved`,
      'Run `mcp-vector-server verify`; restore HEAD from a backup of the directory if there is one.',
    );
  return best;
}

/**
 * Reads the newest valid slot without changing anything.
 * @returns undefined when there is no such file
 * @throws WalError WAL_HEAD_DAMAGED, WAL_NEWER_FORMAT
 */
export function readHeadFile(path: string): { proof: HeadProof; damagedSlots: number } | undefined {
  if (!exists(path)) return undefined;
  const fd = openSync(path, 'r');
  try {
    const slots = readSlots(fd);
    const proof = newest(slots, path);
    // Until the second write one slot has never been written; later an empty one is a page that was lost.
    const damaged = slots.filter(({ kind }) => kind === 'bad' || (kind === 'empty' && proof.counter > 1));
    return { proof, damagedSlots: damaged.length };
  } finally {
    closeSync(fd);
  }
}

/** Whether the bytes of a HEAD between its slots, and behind them, are as they were created: they hold nothing. */
export function isHeadPaddingClean(path: string): boolean {
  const bytes = readFileSync(path);
  return bytes.length <= HEAD_FILE_BYTES && bytes.subarray(SLOT_BYTES, SLOT_STRIDE).every(byte => byte === 0);
}

/** Whether a file is a HEAD of this program, sound or not, and not something else of that name. */
export function holdsHead(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    return [0, SLOT_STRIDE].some(offset => {
      const magic = Buffer.alloc(MAGIC.length);
      readFully(fd, magic, offset);
      return magic.toString('latin1') === MAGIC;
    });
  } finally {
    closeSync(fd);
  }
}

/** Flushes a directory's entries (a rename or a new file is durable only then). */
export function fsyncDirectory(dir: string): void {
  /* v8 ignore if -- Windows cannot open a directory for that; NTFS journals its entries. */
  if (process.platform === 'win32') return;
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

const fdatasyncAsync = promisify(fdatasync);

/** The open HEAD file of the store's owner. */
export class HeadFile {
  /** Of the write that was begun last, whatever became of it. */
  private begunCounter: number;

  /** @param counter of the last slot that is durable */
  private constructor(
    private readonly path: string,
    private readonly fd: number,
    private counter: number,
    private readonly nonce: string,
  ) {
    this.begunCounter = counter;
  }

  /** Creates the file with one slot, atomically. */
  static create(path: string, proof: Omit<HeadProof, 'counter'>): void {
    const temporary = `${path}.tmp`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      const bytes = Buffer.alloc(HEAD_FILE_BYTES);
      encodeSlot({ ...proof, counter: 1 }).copy(bytes, SLOT_STRIDE);
      writeFully(fd, bytes, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    fsyncDirectory(dirname(path));
  }

  /** Opens it for writing under `nonce`. The first write claims it. */
  static open(path: string, nonce: string): HeadFile {
    const fd = openSync(path, 'r+');
    try {
      return new HeadFile(path, fd, newest(readSlots(fd), path).counter, nonce);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /**
   * Writes the next slot and makes it durable.
   * @throws WalError WAL_FOREIGN_OWNER when another process has written since (unless this write claims the file)
   */
  async write(proof: Omit<HeadProof, 'counter' | 'nonce'>, options: { claim?: boolean } = {}): Promise<void> {
    if (!options.claim) this.assertOurs();
    const counter = this.counter + 1;
    const slot = encodeSlot({ ...proof, counter, nonce: this.nonce });
    this.begunCounter = counter;
    writeFully(this.fd, slot, counter % 2 === 0 ? 0 : SLOT_STRIDE);
    await fdatasyncAsync(this.fd);
    // Only now: after a failure the same slot is written again, and never the one that is still good.
    this.counter = counter;
  }

  /** Two owners can meet where locks do not work (some network mounts): the one who notices must stop. */
  private assertOurs(): void {
    const found = newest(readSlots(this.fd), this.path);
    // A write that failed may be there.
    const isOurs = found.counter === this.counter || found.counter === this.begunCounter;
    if (found.nonce !== this.nonce || !isOurs)
      throw new WalError(
        'WAL_FOREIGN_OWNER',
        `${this.path} was written by another process (nonce ${found.nonce}): two owners write this store`,
        'Stop every other server on this store; keep stores on a local disk, where file locks work.',
      );
  }

  close(): void {
    closeSync(this.fd);
  }
}
