import type { ItemView } from '../domain/face.js';
import type { PassageRange } from '../domain/model.js';

/** An item version as answers show it. Shared between answers: never changed. */
export interface StoredItem {
  readonly view: ItemView;
  readonly passages: readonly PassageRange[];
}

/** What an entry takes beyond its text and metadata, roughly. */
const ENTRY_BYTES = 600;

/**
 * The item versions read last, by seq. A version never changes, so nothing here can be stale; each was checked against its hash
 * when it was read from the log. Bounded by bytes; the least recently used goes first.
 */
export class ItemCache {
  private readonly entries = new Map<number, StoredItem>();
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  get(seq: number): StoredItem | undefined {
    const entry = this.entries.get(seq);
    if (entry === undefined) return undefined;
    // A Map keeps the order of insertion: the first key is the one used longest ago.
    this.entries.delete(seq);
    this.entries.set(seq, entry);
    return entry;
  }

  set(seq: number, entry: StoredItem): void {
    const bytes = sizeOf(entry);
    if (bytes > this.maxBytes / 16) return;
    this.entries.set(seq, entry);
    this.bytes += bytes;
    while (this.bytes > this.maxBytes) {
      const [oldest, dropped] = this.entries.entries().next().value!;
      this.entries.delete(oldest);
      this.bytes -= sizeOf(dropped);
    }
  }
}

/** Texts are counted at two bytes a unit; metadata is at most 16 KiB and usually little, so its keys stand for it. */
function sizeOf({ view }: StoredItem): number {
  return ENTRY_BYTES + 2 * view.text.length + 100 * Object.keys(view.metadata).length;
}
