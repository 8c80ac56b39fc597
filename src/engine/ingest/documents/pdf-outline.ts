import type { PdfLine } from './pdf-layout.js';

/** An entry of a PDF's outline (bookmarks), and where it points to. */
export interface OutlineEntry {
  readonly title: string;
  /** From 1. */
  readonly level: number;
  readonly page: number;
  /** Points from the lower edge; undefined for the top of the page. */
  readonly y: number | undefined;
}

/** What of pdf.js an outline is read by. */
export interface OutlineSource {
  getOutline(): Promise<readonly OutlineNode[] | null>;
  getDestination(name: string): Promise<readonly unknown[] | null>;
  getPageIndex(reference: never): Promise<number>;
}

interface OutlineNode {
  readonly title: string;
  readonly dest: string | readonly unknown[] | null;
  readonly items: readonly OutlineNode[];
}

const maxEntries = 5000;
const maxLevel = 6;

/** The entries in their order. One that points nowhere in this document is left out; so is what lies deeper than six levels. */
export async function readOutline(document: OutlineSource, pages: number): Promise<OutlineEntry[]> {
  const entries: OutlineEntry[] = [];
  const visit = async (nodes: readonly OutlineNode[], level: number): Promise<void> => {
    for (const { title, dest, items } of nodes) {
      if (entries.length >= maxEntries) return;
      const place = await placeOf(document, dest);
      const plain = title.replace(/[\s\u0000]+/g, ' ').trim();
      if (place !== undefined && plain !== '' && place.page <= pages)
        entries.push({ title: plain, level, ...place });
      if (level < maxLevel) await visit(items, level + 1);
    }
  };
  await visit((await document.getOutline()) ?? [], 1);
  return entries;
}

/** A destination (ISO 32000-1, 12.3.2.2): [page /XYZ left top zoom], [page /FitH top], … */
async function placeOf(
  document: OutlineSource,
  dest: OutlineNode['dest'],
): Promise<{ page: number; y: number | undefined } | undefined> {
  const explicit = typeof dest === 'string' ? await document.getDestination(dest) : dest;
  if (!Array.isArray(explicit) || explicit.length < 2) return undefined;
  const [target, kind, ...rest] = explicit as [unknown, { name?: string }, ...unknown[]];
  let index: number;
  try {
    index = typeof target === 'number' ? target : await document.getPageIndex(target as never);
  } catch {
    // It points to what is no page.
    return undefined;
  }
  const top = kind?.name === 'XYZ' ? rest[1] : /^FitB?H$/.test(kind?.name ?? '') ? rest[0] : undefined;
  return { page: index + 1, y: typeof top === 'number' ? top : undefined };
}

/** The headings that begin at each line, by its index; several may, where no text stands between them. */
export function placeHeadings(
  entries: readonly OutlineEntry[],
  lines: readonly PdfLine[],
): Map<number, { level: number; title: string; shown: boolean }> {
  const firstOf = new Map<number, number>();
  lines.forEach((line, i) => {
    if (!firstOf.has(line.page)) firstOf.set(line.page, i);
  });
  const headings = new Map<number, { level: number; title: string; shown: boolean }>();
  let from = 0;
  for (const { title, level, page, y } of entries) {
    const start = firstOf.get(page);
    if (start === undefined) continue;
    let behind = start;
    while (behind < lines.length && lines[behind]!.page === page) behind++;
    const candidates = Array.from({ length: behind - start }, (_, i) => start + i).filter(i => i >= from);
    const said = candidates.find(i => sameTitle(lines[i]!.text, title) && !headings.has(i));
    const below =
      y === undefined ? candidates[0] : candidates.find(i => lines[i]!.y <= y + 1 && !headings.has(i));
    const at = said ?? below;
    if (at === undefined) continue;
    headings.set(at, { level, title, shown: said !== undefined });
    from = at;
  }
  return headings;
}

/** Whether a line is (or, of a long one, begins) a title; numbers that only one of them has do not count. */
function sameTitle(line: string, title: string): boolean {
  const plain = (text: string): string =>
    text
      .normalize('NFKC')
      .toLowerCase()
      .replace(/^[\s\d.]+/, '')
      .replace(/[^\p{L}\p{N}]+/gu, '');
  const a = plain(line);
  const b = plain(title);
  return a !== '' && (a === b || (a.length >= 12 && b.startsWith(a)));
}
