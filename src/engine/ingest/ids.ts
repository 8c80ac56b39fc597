import { createHash } from 'node:crypto';
import { LIMITS } from '../../domain/limits.js';

/** Room for `#`, 12 hex digits and a `-<number>` behind the path. */
const suffixBytes = 1 + 12 + 8;

/**
 * Ids of a file's chunks: `<path relative to its root>#<12 hex digits>`, `-2`, `-3` … for a text that the file repeats.
 * The digits are sha256 of the absolute path and the text: so an id does not move when other parts of the file change,
 * and the same README in two projects is two items. A long path loses its beginning, up to 256 bytes in all.
 */
export class ChunkIds {
  private readonly taken = new Set<string>();
  private readonly name: string;

  /** @param relativePath With `/`, for people; @param absolutePath tells files of the same name apart. */
  constructor(
    relativePath: string,
    private readonly absolutePath: string,
  ) {
    this.name = lastBytes(relativePath.replace(/\p{Cc}/gu, '�'), LIMITS.idBytes - suffixBytes);
  }

  /** Keeps an id for a chunk that has one from before. */
  keep(id: string): void {
    this.taken.add(id);
  }

  /** The id of a chunk of this text that has none yet. */
  next(text: string): string {
    const hash = createHash('sha256').update(`${this.absolutePath}\0${text}`).digest('hex').slice(0, 12);
    const first = `${this.name}#${hash}`;
    let id = first;
    for (let n = 2; this.taken.has(id); n++) id = `${first}-${n}`;
    this.taken.add(id);
    return id;
  }
}

/** The text, or `…` and the end of it that fits, in whole characters. Bytes of UTF-8. */
function lastBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const points = [...text];
  let bytes = Buffer.byteLength('…');
  let from = points.length;
  while (from > 0 && bytes + Buffer.byteLength(points[from - 1]!) <= maxBytes) {
    from--;
    bytes += Buffer.byteLength(points[from]!);
  }
  return `…${points.slice(from).join('')}`;
}
