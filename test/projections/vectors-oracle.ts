/** The vector index as a textbook would have it: a list of rows, everything computed anew in double precision. */
import type { Metric } from '#src/domain/model.js';

export interface OracleHit {
  readonly owner: number;
  readonly row: number;
  readonly score: number;
}

export class VectorOracle {
  readonly rows: { owner: number; vector: Float32Array; dead: boolean }[] = [];

  constructor(readonly metric: Metric) {}

  append(vectors: readonly Float32Array[], owner: number): void {
    for (const vector of vectors) this.rows.push({ owner, vector, dead: false });
  }

  remove(owner: number): void {
    for (const row of this.rows) if (row.owner === owner) row.dead = true;
  }

  score(query: Float32Array, row: number): number {
    const { vector } = this.rows[row]!;
    let dot = 0;
    let queryNorm = 0;
    let norm = 0;
    let squares = 0;
    for (let i = 0; i < query.length; i++) {
      dot += query[i]! * vector[i]!;
      queryNorm += query[i]! ** 2;
      norm += vector[i]! ** 2;
      squares += (query[i]! - vector[i]!) ** 2;
    }
    if (this.metric === 'ip') return dot;
    return this.metric === 'l2' ? 1 / (1 + Math.sqrt(squares)) : dot / Math.sqrt(queryNorm * norm);
  }

  /** The number of a passage's row. */
  rowOf(owner: number, passage: number): number {
    return this.rows.findIndex(row => row.owner === owner) + passage;
  }

  /** All vectors of an owner, as they were appended. */
  vectorsOf(owner: number): Float32Array {
    return Float32Array.from(this.rows.flatMap(row => (row.owner === owner ? [...row.vector] : [])));
  }

  /** Each accepted owner, live ones only unless it is `past`, with its best row, best first. */
  search(query: Float32Array, k: number, accept?: Uint8Array, past = false): OracleHit[] {
    const best = new Map<number, OracleHit>();
    for (const [row, { owner, dead }] of this.rows.entries()) {
      if ((dead && !past) || (accept !== undefined && !accept[owner])) continue;
      const score = this.score(query, row);
      if (score > (best.get(owner)?.score ?? Number.NEGATIVE_INFINITY))
        best.set(owner, { owner, row, score });
    }
    return [...best.values()].sort((a, b) => b.score - a.score || a.row - b.row).slice(0, k);
  }
}
