import { createHash } from 'node:crypto';
import type { CallContext, Engine } from '../../domain/face.js';
import type { ExportQuery } from '../../domain/portable.js';
import { endLine, headerLine, itemLine } from './export-lines.js';

/** Where lines go; each without its newline. */
export interface LineSink {
  write(line: string): Promise<void>;
  /** Nobody reads any more: the export may end. */
  readonly isClosed?: boolean;
}

export interface ExportSummary {
  readonly moment: { readonly seq: number; readonly hash: string; readonly time: string };
  readonly collections: readonly { readonly name: string; readonly items: number }[];
  readonly items: number;
  readonly size_bytes: number;
  /** Of all bytes but the last line, as that says it. */
  readonly sha256: string;
}

/**
 * Writes the items of one moment as lines, a page at a time: memory stays bounded however many there are, and whatever has the store
 * goes on meanwhile.
 * @throws as Engine.export
 */
export async function writeExport(
  engine: Pick<Engine, 'export'>,
  query: Omit<ExportQuery, 'cursor'>,
  sink: LineSink,
  context: CallContext,
): Promise<ExportSummary> {
  const { onProgress, ...quiet } = context;
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const write = async (line: string): Promise<void> => {
    const bytes = Buffer.byteLength(line) + 1;
    hash.update(line).update('\n');
    sizeBytes += bytes;
    await sink.write(line);
  };
  let page = await engine.export(query, quiet);
  const { collections = [], moment } = page;
  const total = collections.reduce((sum, { items }) => sum + items, 0);
  await write(headerLine(page, { vectors: query.vectors !== false }));
  let items = 0;
  for (;;) {
    for (const item of page.items) await write(itemLine(item));
    items += page.items.length;
    onProgress?.({ done: items, total, unit: 'items', message: 'exporting' });
    if (page.cursor === undefined || sink.isClosed) break;
    page = await engine.export({ ...query, cursor: page.cursor }, quiet);
  }
  const sha256 = hash.digest('hex');
  const end = endLine({ items, sha256 });
  sizeBytes += Buffer.byteLength(end) + 1;
  await sink.write(end);
  return {
    moment,
    collections: collections.map(collection => ({ name: collection.name, items: collection.items })),
    items,
    size_bytes: sizeBytes,
    sha256,
  };
}
