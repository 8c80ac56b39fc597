/** Of a piece of records that are read together. */
const PIECE_BYTES = 1024 * 1024;

/** The stored bytes of records that are got one by one, in pieces of about a mebibyte. */
export async function* inPieces(
  from: number,
  to: number,
  value: (seq: number) => Uint8Array,
): AsyncGenerator<[number, Uint8Array][]> {
  let piece: [number, Uint8Array][] = [];
  let sizeBytes = 0;
  for (let seq = from; seq <= to; seq++) {
    const bytes = value(seq);
    piece.push([seq, bytes]);
    sizeBytes += bytes.length;
    if (sizeBytes < PIECE_BYTES) continue;
    yield piece;
    piece = [];
    sizeBytes = 0;
  }
  if (piece.length > 0) yield piece;
}
