import type { Embedded, Space } from '../domain/model.js';

/** Text in, vectors out. One interface for the embedded default and the providers. */
export interface Embedder {
  /**
   * The identity of this embedder's vectors. For the embedded default it is known without loading the model; a
   * provider may need one call to learn its dimension. Rejects with a coded EMBEDDER_* error.
   */
  space(): Promise<Space>;
  /**
   * Cuts each text into passages that fit the model's window and embeds them. Each vector has unit length. The same
   * text gives the same bits whatever else is in the call.
   * @throws CodedError EMBEDDER_UNAVAILABLE, EMBEDDER_TIMEOUT, EMBEDDER_RATE_LIMITED, EMBEDDER_REJECTED,
   *   EMBEDDER_BAD_ANSWER, MODEL_DAMAGED, MODEL_MISSING, TRANSFORMERS_MISSING, CANCELLED
   */
  embedTexts(texts: readonly string[], signal?: AbortSignal): Promise<Embedded[]>;
  /** One vector of unit length for a search query. */
  embedQuery(text: string, signal?: AbortSignal): Promise<Float32Array>;
  /**
   * Cuts points at which ingest should break a text so that each piece fits the window: ranges that cover the text in
   * order, broken at paragraph, then sentence, then word boundaries.
   */
  cut(text: string): Promise<(readonly [start: number, end: number])[]>;
  /** One line for status and doctor: `not loaded`, `ready (26 MB)`, `unreachable: …`. */
  state(): string;
  close(): Promise<void>;
}
