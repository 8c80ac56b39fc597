/** What the benchmark asks of a system, ours or a peer: one small interface, an adapter a file. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Below, Item } from './dataset.js';

/** A system that is open in this process. What it does not define it cannot do, and its cell stays empty. */
export interface System {
  /** An item in the form that the system's API takes; not timed. */
  prepare(item: Item): unknown;
  /** One call, as durable when it returns as the system makes it. New ids and ones that are there alike. */
  upsert(prepared: readonly unknown[]): void | Promise<void>;
  /** Until the index covers every row. */
  settle?(): void | Promise<void>;
  /** A query vector in the form that the system's API takes; not timed. */
  prepareQuery?(query: Float32Array): unknown;
  /** The top 10 with their texts, where the system keeps texts. */
  search?(query: unknown, below: Below): unknown;
  /** The rows of what `search` returned (or resolved to), nearest first; not timed. */
  rowsOf?(found: unknown): number[];
  /** How hard to search: `ef` or what corresponds to it. */
  setEffort?(effort: number): void | Promise<void>;
  /** Until nothing is left that was put off: work in the background would fall on whoever is measured next. */
  ready?(): Promise<void>;
  close(): void | Promise<void>;
}

export interface OpenOptions {
  /** The system's directory; empty at first. */
  readonly dir: string;
  /** Where the peers are installed. */
  readonly peersDir: string;
  /** Rows there will be in all, for systems that want to know before. */
  readonly capacity: number;
}

export interface SystemKind {
  readonly name: string;
  /** As it stands in the table. */
  readonly title: string;
  /** `own`: this project; `peer`: what people would pick instead; `limit`: what it could be at best. */
  readonly role: 'own' | 'peer' | 'limit';
  /** How it is configured, and what must be known of its figures. */
  readonly note: string;
  /** Pinned npm packages that are installed beside the project. */
  readonly packages?: Readonly<Record<string, string>>;
  /** Given no more than this many rows, since it would take for ever. */
  readonly maxRows?: number;
  /** Values for setEffort, easiest first: the first that reaches recall@10 .99 is used. */
  readonly efforts?: readonly number[];
  /** False where it answers labels without texts. Default true. */
  readonly hasTexts?: boolean;
  /** False where search knows no filter. Default true. */
  readonly hasFilter?: boolean;
  /** The setting of this project's that the kind stands for, put into the environment. */
  readonly env?: Readonly<Record<string, string>>;
  open(options: OpenOptions): Promise<System>;
  /**
   * Reads everything there is once, with the checks that the system has; nobody has it open.
   * @throws where something is wrong
   */
  verify?(options: OpenOptions): void | Promise<void>;
  /** Deletes what can be rebuilt; nobody has it open. */
  loseIndexes?(dir: string): void;
}

/** A peer's module from where the peers are installed. They are no dependencies, so nothing here may import them by name. */
export const requirePeer = <T>(peersDir: string, name: string): T =>
  createRequire(join(peersDir, 'package.json'))(name) as T;
