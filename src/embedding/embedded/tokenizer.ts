/**
 * The sentence encoder's own tokeniser: the most probable segmentation into the pieces of a unigram vocabulary
 * (SentencePiece; Kudo 2018, arXiv:1804.10959), as the model's reference implementation does it, quirks included:
 * the text is NFKC-normalised, spaces become U+2581 and one is put in front; a character that starts no piece counts as
 * unknown at score 0; of equally good segmentations the last found wins; adjacent unknowns become one.
 */

/** A piece and its log probability, in the order of the model's embedding table. */
export type VocabularyEntry = readonly [piece: string, score: number];

/** Id of everything that is in no piece. */
const UNKNOWN = 0;
/** Ids below this are control symbols, which no text may spell. */
const RESERVED = 6;
const SEPARATOR = '\u2581';

/** Unigram tokeniser over a trie kept in typed arrays: no object per node. */
export class Tokenizer {
  readonly #scores: Float64Array;
  /** UTF-16 code units of each piece: how far the way back goes. */
  readonly #lengths: Uint8Array;
  /** Piece that ends at a node, or -1. */
  readonly #pieceOfNode: Int32Array;
  /** Open-addressing hash table of the trie's edges: (node, code point) -> child. */
  readonly #edgeKeys: Float64Array;
  readonly #edgeChildren: Int32Array;
  readonly #edgeMask: number;

  // Scratch for one call, grown as needed.
  #points = new Int32Array(1024);
  #best = new Float64Array(1025);
  #words = new Int32Array(1025);

  constructor(vocabulary: readonly VocabularyEntry[]) {
    let maxNodes = 1;
    for (let id = RESERVED; id < vocabulary.length; id++) maxNodes += vocabulary[id]![0].length;
    const slots = 2 ** Math.ceil(Math.log2(maxNodes * 2));
    this.#scores = new Float64Array(vocabulary.length);
    this.#lengths = new Uint8Array(vocabulary.length);
    this.#pieceOfNode = new Int32Array(maxNodes).fill(-1);
    this.#edgeKeys = new Float64Array(slots).fill(-1);
    this.#edgeChildren = new Int32Array(slots);
    this.#edgeMask = slots - 1;
    let nodes = 1;
    for (let id = 0; id < vocabulary.length; id++) {
      const [piece, score] = vocabulary[id]!;
      this.#lengths[id] = piece.length;
      this.#scores[id] = score;
      if (id < RESERVED) continue;
      let node = 0;
      for (const symbol of piece) {
        const slot = this.#slot(node, symbol.codePointAt(0)!);
        if (this.#edgeKeys[slot] === -1) {
          this.#edgeKeys[slot] = node * 0x200000 + symbol.codePointAt(0)!;
          this.#edgeChildren[slot] = nodes++;
        }
        node = this.#edgeChildren[slot]!;
      }
      this.#pieceOfNode[node] = id;
    }
  }

  /** The slot of an edge, or the empty slot where it would be. Code points have 21 bits. */
  #slot(node: number, point: number): number {
    const key = node * 0x200000 + point;
    let slot = (Math.imul(node, 0x9e3779b1) ^ Math.imul(point, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#edgeMask;
    while (this.#edgeKeys[slot] !== key && this.#edgeKeys[slot] !== -1) slot = (slot + 1) & this.#edgeMask;
    return slot;
  }

  /** Piece ids of `text`, not clipped; none for an empty text. Time is linear in the text's length. */
  encode(text: string): number[] {
    const normalized = text.normalize('NFKC');
    if (normalized.length === 0) return [];
    const length = this.#readPoints(SEPARATOR + normalized.replaceAll(' ', SEPARATOR));
    const points = this.#points;
    const best = this.#best.fill(0, 0, length + 1);
    const words = this.#words.fill(0, 0, length + 1);
    for (let start = 0; start < length; start++) {
      const base = best[start]!;
      let matched = false;
      let node = 0;
      for (let end = start; end < length; end++) {
        const slot = this.#slot(node, points[end]!);
        if (this.#edgeKeys[slot] === -1) break;
        node = this.#edgeChildren[slot]!;
        const piece = this.#pieceOfNode[node]!;
        if (piece === -1) continue;
        matched = true;
        this.#offer(end + 1, base + this.#scores[piece]!, piece);
      }
      if (!matched) this.#offer(start + 1, base, UNKNOWN);
    }
    const ids: number[] = [];
    for (let at = length; at > 0; ) {
      const id = words[at]!;
      if (id !== UNKNOWN || ids.at(-1) !== UNKNOWN) ids.push(id);
      at -= this.#lengths[id]!;
    }
    return ids.reverse();
  }

  /** Keeps the better way to reach `end`; 0 means none was found yet, as in the reference. */
  #offer(end: number, score: number, piece: number): void {
    if (this.#best[end] !== 0 && score < this.#best[end]!) return;
    this.#best[end] = score;
    this.#words[end] = piece;
  }

  #readPoints(text: string): number {
    if (this.#points.length < text.length) {
      this.#points = new Int32Array(text.length * 2);
      this.#best = new Float64Array(text.length * 2 + 1);
      this.#words = new Int32Array(text.length * 2 + 1);
    }
    let length = 0;
    for (let i = 0; i < text.length; i++) {
      const point = text.codePointAt(i)!;
      if (point > 0xffff) i++;
      this.#points[length++] = point;
    }
    return length;
  }
}
