/**
 * The nouns: space, actor, item, and what an event says. Words as in docs/design.md. Imports nothing.
 */

export type Metric = 'cosine' | 'ip' | 'l2';

/** The library that builds the graphs over vectors. */
export type IndexEngine = 'usearch' | 'hnswlib';

/** JSON as users write it in metadata and filters. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type Metadata = { [key: string]: JsonValue };

/**
 * An embedding identity. Vectors of two spaces never meet: a query from another space is refused by name.
 * `id` is derived from the other fields (see spaceId) and is what events and errors cite.
 */
export interface Space {
  /** For people: `embedded/use-lite+glove/612#5ac1f0e2`, `openai/text-embedding-3-small/1536#…`, `given/384`. */
  readonly id: string;
  /** `embedded`, `openai`, `ollama`; `given` for vectors that the caller computed. */
  readonly provider: string;
  readonly model: string;
  readonly dimension: number;
  /** Digest of the weights, where known: two files under one model name are two spaces. Empty where unknown. */
  readonly weightsDigest: string;
  /** Digest of everything between text and model (tokeniser, prefix, window, mixing). Empty where unknown. */
  readonly preprocessingDigest: string;
}

/** Where an item's text came from; results carry it so that they can be judged. */
export type Origin = 'agent' | 'file' | 'import';

/** Who wrote, stamped by the server: a model cannot choose any of it. */
export interface Actor {
  /** As the client declared itself: unverified. */
  readonly clientName: string;
  readonly clientVersion: string;
  readonly session: string;
  /** Where `session` came from: `meta`, `env:<NAME>`, `window`, `token`, `file` (an import's is its file's). */
  readonly sessionSource: string;
  /** The project's directory, or an empty string where none is known. */
  readonly project: string;
  readonly transport: 'stdio' | 'http' | 'cli' | 'library';
  /** The tool or command that wrote: `vector_upsert`, `vector_ingest`, `cli ingest`. */
  readonly tool: string;
}

/** A range of an item's text, in UTF-16 code units, [start, end). */
export type PassageRange = readonly [start: number, end: number];

/** One embedded text: its passages and their vectors, row after row (passages.length x dimension, f32). */
export interface Embedded {
  readonly passages: readonly PassageRange[];
  readonly vectors: Float32Array;
}

/** A collection as events define it. */
export interface Collection {
  /** Small, dense from 1, never reused: items cite it. */
  readonly id: number;
  readonly name: string;
  readonly space: Space;
  readonly metric: Metric;
}

export interface CollectionCreated extends Collection {
  readonly type: 'collection_created';
}

export interface ActorDeclared extends Actor {
  readonly type: 'actor_declared';
}

/** Why an event's content was erased: its version died before the horizon, or it was redacted. */
export type Erased = 'horizon' | 'redacted';

/** A whole version of an item: its text, metadata and vectors. Vectors are truth, not cache. */
export interface ItemPut {
  readonly type: 'item_put';
  readonly collection: number;
  readonly id: string;
  /** Empty for an item that is only a vector. */
  readonly text: string;
  readonly metadata: Metadata;
  readonly origin: Origin;
  readonly space: string;
  readonly passages: readonly PassageRange[];
  /** passages.length x dimension. */
  readonly vectors: Float32Array;
  /** Its text, metadata, passages and vectors are gone; those here are empty. Never written: it is what is read of an erased record. */
  readonly erased?: Erased;
}

export interface ItemDeleted {
  readonly type: 'item_deleted';
  readonly collection: number;
  readonly id: string;
}

/**
 * A new version with the text, metadata, origin and vectors of an earlier one. It refers, it does not copy. Where the earlier
 * version has no vectors in the collection's present space, the next event of the transaction adds them.
 */
export interface ItemRestored {
  readonly type: 'item_restored';
  readonly collection: number;
  readonly id: string;
  /** The item_put whose content this version has. */
  readonly from: number;
}

/** Vectors of a version in another space than the one it was written in. */
export interface VectorsAdded {
  readonly type: 'vectors_added';
  readonly collection: number;
  readonly id: string;
  /** The version (item_put or item_restored) that they belong to. */
  readonly version: number;
  /** Id of their space: the collection's present one, or the one that is being prepared. */
  readonly space: string;
  readonly passages: readonly PassageRange[];
  /** passages.length x dimension. */
  readonly vectors: Float32Array;
  /** As in ItemPut. */
  readonly erased?: Erased;
}

/** A collection begins to be embedded anew, into a space beside its present one. */
export interface SpaceBegun {
  readonly type: 'space_begun';
  readonly collection: number;
  readonly space: Space;
}

/** What was begun is given up; its vectors count for nothing. */
export interface SpaceAbandoned {
  readonly type: 'space_abandoned';
  readonly collection: number;
  readonly space: string;
}

/** From here on the collection has the space that was begun. */
export interface SpaceSwitched {
  readonly type: 'space_switched';
  readonly collection: number;
  readonly space: string;
}

/** Gives this moment a name. */
export interface MarkSet {
  readonly type: 'mark_set';
  readonly name: string;
  /** Empty where none was given. */
  readonly note: string;
}

/**
 * The horizon: the contents of versions that died at event `through` or before it are given up, but for those that lived at a mark
 * or that a version which is kept was restored from.
 */
export interface HistoryErased {
  readonly type: 'history_erased';
  readonly through: number;
}

/** The contents of all versions of an item up to here are given up. */
export interface ItemRedacted {
  readonly type: 'item_redacted';
  readonly collection: number;
  readonly id: string;
  /** For people; empty where none was given. */
  readonly reason: string;
}

/** What a history_erased or item_redacted gave up is gone from the disk. */
export interface ErasureFinished {
  readonly type: 'erasure_finished';
  readonly of: number;
}

export type DomainEvent =
  | CollectionCreated
  | ActorDeclared
  | ItemPut
  | ItemDeleted
  | ItemRestored
  | VectorsAdded
  | SpaceBegun
  | SpaceAbandoned
  | SpaceSwitched
  | MarkSet
  | HistoryErased
  | ItemRedacted
  | ErasureFinished;

/** What surrounds an event in the log; `seq` is the version of the item that it writes. */
export interface EventContext {
  readonly seq: number;
  /** Logical time in ms since the epoch: never runs backwards. */
  readonly timeMs: number;
  /** The event that declared who wrote it; 0 for none. */
  readonly actor: number;
}
