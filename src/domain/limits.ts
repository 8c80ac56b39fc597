/** The bounds of what a store accepts; every refusal by size names one of these. Sizes in bytes are of UTF-8. */
export const LIMITS = {
  /** An item's text. */
  textBytes: 1024 * 1024,
  /** An item's metadata as JSON. */
  metadataBytes: 16 * 1024,
  /** An item's id. */
  idBytes: 256,
  /** A collection's name. */
  collectionNameBytes: 128,
  /** Items in one upsert, ids in one get or delete. */
  itemsPerCall: 1000,
  /** Components of a vector. */
  dimension: 4096,
  /** A query's text. */
  queryBytes: 64 * 1024,
  /** A mark's note. */
  noteBytes: 2048,
  /** Results of one search. */
  k: 100,
  /** Items of one list. */
  listLimit: 1000,
} as const;
