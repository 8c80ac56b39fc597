/** Items as they leave a store for a file, and come into one from a file. */
import type { AsOf, Receipt, Where, WriteSpan } from './face.js';
import type { Metadata, Metric, Origin, PassageRange, Space } from './model.js';

export interface ExportQuery extends AsOf {
  /** Default: all that there were. */
  readonly collections?: readonly string[];
  readonly where?: Where;
  /** Default true. */
  readonly vectors?: boolean;
  /** From an earlier page; pins the moment that the first page was of. */
  readonly cursor?: string;
}

/** A collection as it was at the moment of an export. */
export interface ExportedCollection {
  readonly name: string;
  readonly space: Space;
  readonly metric: Metric;
  /** Of those that are exported. */
  readonly items: number;
}

export interface ExportedItem {
  readonly collection: string;
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata;
  readonly origin: Origin;
  readonly version: number;
  readonly updated_at: string;
  /** With vectors alone. */
  readonly passages?: readonly PassageRange[];
  /** passages.length x dimension, f32 little-endian, base64. */
  readonly vectors?: string;
}

/** A page of an export: as many items as make some megabytes. */
export interface ExportAnswer {
  readonly store: { readonly id: string; readonly epoch: number };
  readonly moment: { readonly seq: number; readonly hash: string; readonly time: string };
  /** On the first page alone. */
  readonly collections?: readonly ExportedCollection[];
  /** Collection after collection, each in the order in which its items were last written. */
  readonly items: readonly ExportedItem[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

/** What is done with an item whose id is there already with another content. */
export type OnConflict = 'skip' | 'replace' | 'fail';

export interface ImportItem {
  readonly id: string;
  readonly text: string;
  readonly metadata: Metadata;
  /** Both or neither: without them the text is embedded. */
  readonly passages?: readonly PassageRange[];
  /** As in ExportedItem. */
  readonly vectors?: string;
}

/** Where vectors that come along belong. */
export interface ImportSpace {
  readonly space: Space;
  /** Of the collection, if it is made. */
  readonly metric: Metric;
}

export interface ImportCommand {
  readonly collection: string;
  /** The space of the vectors that the items bring. Absent: their texts are embedded. */
  readonly into?: ImportSpace;
  /** No id twice. None at all only makes the collection. */
  readonly items: readonly ImportItem[];
  /** Default: fail. */
  readonly on_conflict?: OnConflict;
  readonly dry_run?: boolean;
  readonly allow_secrets?: boolean;
}

/** `conflict`: of a dry run that would fail. */
export type ImportOutcome = 'created' | 'replaced' | 'unchanged' | 'skipped' | 'conflict';

export interface ImportAnswer extends Receipt, WriteSpan {
  /** Of each item. */
  readonly outcomes: readonly ImportOutcome[];
  readonly dry_run: boolean;
}
