/** What must be known of a model to give it text. */
export interface ModelTraits {
  /** Characters of a passage at most. No tokenizer is at hand, so this stays well below the model's window. */
  readonly passageChars: number;
  /** What the model was trained to see in front of a search query, and in front of a passage. */
  readonly queryPrefix: string;
  readonly passagePrefix: string;
}

const PLAIN: ModelTraits = { passageChars: 1500, queryPrefix: '', passagePrefix: '' };

/**
 * Models by the beginning of their name, without publisher; the first match counts. Prefixes from the models' cards,
 * windows in tokens behind them. A window of 512 tokens takes 1 000 characters of prose with room to spare.
 */
const MODELS: readonly (readonly [prefix: string, traits: ModelTraits])[] = [
  ['text-embedding-', PLAIN], // 8 191
  // 2 048 as Ollama serves it
  ['nomic-embed-text', { ...PLAIN, queryPrefix: 'search_query: ', passagePrefix: 'search_document: ' }],
  // 2 048
  [
    'embeddinggemma',
    { ...PLAIN, queryPrefix: 'task: search result | query: ', passagePrefix: 'title: none | text: ' },
  ],
  // 512
  [
    'mxbai-embed',
    {
      passageChars: 1000,
      queryPrefix: 'Represent this sentence for searching relevant passages: ',
      passagePrefix: '',
    },
  ],
  ['snowflake-arctic-embed2', { ...PLAIN, queryPrefix: 'query: ' }], // 8 192
  // 512
  [
    'snowflake-arctic-embed',
    {
      passageChars: 1000,
      queryPrefix: 'Represent this sentence for searching relevant passages: ',
      passagePrefix: '',
    },
  ],
  ['multilingual-e5', { passageChars: 1000, queryPrefix: 'query: ', passagePrefix: 'passage: ' }], // 512
  ['bge-m3', PLAIN], // 8 192
  ['all-minilm', { passageChars: 600, queryPrefix: '', passagePrefix: '' }], // 256
];

/** A model that is not in the table gets no prefix and passages that fit a window of 512 tokens. */
const UNKNOWN: ModelTraits = { passageChars: 1000, queryPrefix: '', passagePrefix: '' };

/** The traits of a model by its name at the provider: `nomic-embed-text:v1.5`, `intfloat/multilingual-e5-large`. */
export function traitsOf(model: string): ModelTraits {
  const name = model.slice(model.lastIndexOf('/') + 1).toLowerCase();
  return MODELS.find(([prefix]) => name.startsWith(prefix))?.[1] ?? UNKNOWN;
}
