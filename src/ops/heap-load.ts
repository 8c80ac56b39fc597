/** A mixed load on an engine, the same in every round, so that what memory grows by from round to round is kept by nobody's wish. */
import type { CallContext, Engine, SearchMode } from '../domain/face.js';

/** A collection of the copy that is written to: few items, written over again and again. */
const WRITTEN = 'heap-profile';
const WRITTEN_ITEMS = 32;
const DIMENSION = 8;

export interface HeapLoadOptions {
  readonly engine: Engine;
  readonly context: CallContext;
  /** What is searched for. */
  readonly queries: readonly string[];
  readonly modes: readonly SearchMode[];
}

/**
 * Round number `round` of so many operations: of ten six are searches (one of the past), two reads, one a look at history or status, one a write over an item that is
 * there.
 * @returns events that were written
 */
export async function heapRound(
  { engine, context, queries, modes }: HeapLoadOptions,
  operations: number,
  round: number,
): Promise<number> {
  const { seq } = (await engine.status({}, context)).head;
  for (let n = 0; n < operations; n++) {
    const query = queries[n % queries.length] ?? 'profile';
    const mode = modes[n % modes.length]!;
    const id = `item-${n % WRITTEN_ITEMS}`;
    switch (n % 10) {
      case 0: {
        const vector = Array.from({ length: DIMENSION }, (_, i) =>
          Math.sin(round * operations + n * 7 + i + 1),
        );
        const metadata = { round: n % 3 };
        await engine.upsert(
          { collection: WRITTEN, items: [{ id, text: `text ${n} of round ${round}`, vector, metadata }] },
          context,
        );
        break;
      }
      case 1:
        await engine.get({ collection: WRITTEN, ids: [id] }, context);
        break;
      case 2:
        await engine.list({ collection: WRITTEN, limit: 20 }, context);
        break;
      case 3:
        if (n % 20 < 10) await engine.history({ collection: WRITTEN, limit: 20 }, context);
        else await engine.status({}, context);
        break;
      case 4:
        await engine.search({ query, k: 10, mode, as_of: String(seq) }, context);
        break;
      case 5:
        await engine.search({ query, k: 10, mode, where: { round: n % 3 } }, context);
        break;
      default:
        await engine.search({ query, k: 10, mode }, context);
    }
  }
  return (await engine.status({}, context)).head.seq - seq;
}
