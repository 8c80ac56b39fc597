import type { Embedded, PassageRange } from '../../domain/model.js';

/** What the worker is started with. */
export interface WorkerSettings {
  /** The directory with the encoder's weights and vocabulary. */
  readonly modelDirectory: string;
  /** The file of word vectors. */
  readonly wordsFile: string;
}

/** One call. Queries overtake texts: someone is waiting for them. */
export type Request =
  | { readonly kind: 'texts'; readonly id: number; readonly texts: readonly string[] }
  | { readonly kind: 'query'; readonly id: number; readonly text: string }
  | { readonly kind: 'cut'; readonly id: number; readonly text: string };

export type ToWorker = Request | { readonly kind: 'cancel'; readonly id: number };

/** A call's result, by the kind of its request. */
export interface Results {
  texts: Embedded[];
  query: Float32Array;
  cut: PassageRange[];
}

export type FromWorker =
  | { readonly kind: 'ready'; readonly sizeBytes: number }
  /** The model could not be loaded; the worker ends. */
  | { readonly kind: 'failed'; readonly message: string; readonly wayOut: string }
  | { readonly kind: 'done'; readonly id: number; readonly result: Results[keyof Results] };
