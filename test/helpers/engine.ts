import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallContext } from '#src/domain/face.js';
import type { Embedded, Space } from '#src/domain/model.js';
import { makeSpace } from '#src/domain/space.js';
import type { Embedder } from '#src/embedding/embedder.js';
import type { EmbedderSource } from '#src/engine/embedders.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { type OpenEngineOptions, openEngine } from '#src/engine/open.js';
import { createLogger } from '#src/log.js';

/** A directory that is removed when the process ends. @param parent fastDirectory() for stores that are made by the thousand */
export function temporaryDirectory(name = 'mvs-test-', parent = tmpdir()): string {
  const dir = mkdtempSync(join(parent, name));
  if (temporary.length === 0) process.once('exit', removeTemporary);
  temporary.push(dir);
  return dir;
}

const temporary: string[] = [];
const removeTemporary = (): void => {
  for (const dir of temporary) rmSync(dir, { recursive: true, force: true });
};

export const WORDS = { model: 'words', dimension: 32, seed: 7 } as const;
/** Another model: other axes, and more of them. */
export const OTHER_WORDS = { model: 'other-words', dimension: 48, seed: 1031 } as const;
type WordModel = { readonly model: string; readonly dimension: number; readonly seed: number };

/**
 * An embedder whose answers a test can compute by hand: each word points along one axis, a text along the sum of its words; a
 * blank line starts another passage.
 */
export class WordEmbedder implements Embedder {
  private readonly identity: Space;
  embeddedTexts = 0;

  constructor(private readonly words: WordModel = WORDS) {
    const { model, dimension } = words;
    const digests = { weightsDigest: '', preprocessingDigest: '' };
    this.identity = makeSpace({ provider: 'test', model, dimension, ...digests });
  }

  async space() {
    return this.identity;
  }

  async embedTexts(texts: readonly string[], _signal?: AbortSignal): Promise<Embedded[]> {
    this.embeddedTexts += texts.length;
    const { dimension } = this.words;
    return texts.map(text => {
      const passages = [...text.matchAll(/[\s\S]+?(?:\n\n|$)/g)].map(
        match => [match.index, match.index + match[0].length] as const,
      );
      const vectors = new Float32Array(passages.length * dimension);
      passages.forEach(([start, end], row) => {
        vectors.set(wordVector(text.slice(start, end), this.words), row * dimension);
      });
      return { passages, vectors };
    });
  }

  async embedQuery(text: string): Promise<Float32Array> {
    return wordVector(text, this.words);
  }

  async cut(text: string): Promise<(readonly [number, number])[]> {
    return [[0, text.length]];
  }

  state(): string {
    return 'ready';
  }

  async close(): Promise<void> {}
}

export function wordVector(text: string, { dimension, seed }: WordModel = WORDS): Float32Array {
  const vector = new Float32Array(dimension);
  vector[0] = 0.1;
  for (const word of text.toLowerCase().match(/\w+/g) ?? []) {
    let hash = seed;
    for (const char of word) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) | 0;
    vector[1 + (Math.abs(hash) % (dimension - 1))] += 1;
  }
  const norm = Math.hypot(...vector);
  return vector.map(value => value / norm);
}

/** A source of the embedders that a test names, and of no others. */
export const namedEmbedders =
  (embedders: Readonly<Record<string, Embedder>>): EmbedderSource =>
  async name => {
    const embedder = embedders[name];
    if (embedder === undefined) throw new Error(`no embedder is named ${name}`);
    return embedder;
  };

export const testContext: CallContext = {
  actor: {
    clientName: 'test',
    clientVersion: '1',
    session: 'session-1',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'vector_upsert',
  },
};

export const silent = createLogger({ logLevel: 'silent', logFile: undefined });

export const TEST_CONFIG: OpenEngineOptions['config'] = {
  metric: 'cosine',
  indexEngine: 'usearch',
  durability: 'interval',
  embedder: { provider: 'embedded', model: '', url: '', key: undefined, dimension: undefined },
};

/** An engine on `path` with the word embedder unless told otherwise. */
export function openTestEngine(path: string, options: Partial<OpenEngineOptions> = {}): Promise<StoreEngine> {
  return openEngine({
    path,
    config: TEST_CONFIG,
    logger: silent,
    embedder: new WordEmbedder(),
    ...options,
  });
}
