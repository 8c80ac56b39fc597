import { nearest } from '../domain/nearest.js';

/**
 * What other stores and SDKs call the same argument. Tried before spelling, and only where the tool has the target.
 */
const SYNONYMS: { readonly [name: string]: readonly string[] } = {
  topk: ['k'],
  n: ['k', 'limit'],
  nresults: ['k', 'limit'],
  numresults: ['k', 'limit'],
  limit: ['k'],
  count: ['k', 'limit'],
  size: ['k', 'limit'],
  k: ['limit'],
  pagesize: ['limit'],
  text: ['query'],
  q: ['query'],
  querytext: ['query'],
  querytexts: ['query'],
  search: ['query'],
  embedding: ['vector'],
  embeddings: ['vector'],
  values: ['vector'],
  queryvector: ['vector'],
  queryembeddings: ['vector'],
  content: ['text'],
  document: ['text', 'items'],
  body: ['text'],
  documents: ['items', 'paths'],
  texts: ['items'],
  vectors: ['items'],
  records: ['items'],
  points: ['items'],
  id: ['ids'],
  key: ['id', 'ids'],
  keys: ['ids'],
  filter: ['where'],
  filters: ['where'],
  wheredocument: ['where'],
  query: ['where'],
  payload: ['metadata'],
  meta: ['metadata'],
  metadatas: ['metadata'],
  tags: ['metadata'],
  namespace: ['collection', 'collections'],
  index: ['collection', 'collections'],
  table: ['collection', 'collections'],
  collectionname: ['collection', 'collections'],
  collections: ['collection'],
  collection: ['collections'],
  threshold: ['min_score'],
  scorethreshold: ['min_score'],
  similaritythreshold: ['min_score'],
  version: ['if_version'],
  expectedversion: ['if_version'],
  after: ['since'],
  from: ['since'],
  before: ['until'],
  to: ['until'],
  offset: ['cursor'],
  page: ['cursor'],
  maxlength: ['max_chars'],
  maxtokens: ['max_chars'],
  path: ['paths'],
  file: ['paths'],
  files: ['paths'],
  directory: ['paths'],
  folder: ['paths'],
  ignore: ['exclude'],
  glob: ['include'],
  dryrun: ['dry_run'],
};

/** The one of `known` that `name` probably means: a synonym, else the nearest by spelling; undefined if none is near. */
export function suggestName(name: string, known: readonly string[]): string | undefined {
  const plain = normalise(name.slice(0, 64));
  const same = known.find(candidate => normalise(candidate) === plain);
  if (same !== undefined) return same;
  const synonyms = Object.hasOwn(SYNONYMS, plain) ? SYNONYMS[plain]! : [];
  return synonyms.find(synonym => known.includes(synonym)) ?? nearest(name, known);
}

const normalise = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');
