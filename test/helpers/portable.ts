/** Exports as lines in memory, and imports of lines from files. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallContext, Engine } from '#src/domain/face.js';
import type { ExportQuery } from '#src/domain/portable.js';
import { type OpenSourceOptions, openSource } from '#src/engine/portable/open-source.js';
import type { ImportOptions } from '#src/engine/portable/plan-import.js';
import { type ImportReport, runImport } from '#src/engine/portable/run-import.js';
import { writeExport } from '#src/engine/portable/write-export.js';
import { temporaryDirectory, testContext } from './engine.js';

export async function exportLines(
  engine: Pick<Engine, 'export'>,
  query: Omit<ExportQuery, 'cursor'> = {},
): Promise<string[]> {
  const lines: string[] = [];
  const sink = { write: async (line: string) => void lines.push(line) };
  await writeExport(engine, query, sink, testContext);
  return lines;
}

const dir = temporaryDirectory('mvs-portable-');
let files = 0;

/** A file of these bytes. */
export function fileOf(content: string | Uint8Array, name = 'file.jsonl'): string {
  const path = join(dir, `${files++}-${name}`);
  writeFileSync(path, content);
  return path;
}

/** Lines with the end that an export has. */
export function sealed(lines: readonly string[]): string {
  const body = lines.map(line => `${line}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  return `${body}${JSON.stringify({ end: { items: lines.length - 1, sha256 } })}\n`;
}

export interface ImportFileOptions extends Partial<ImportOptions>, OpenSourceOptions {
  readonly context?: CallContext;
}

export async function importFile(
  engine: Pick<Engine, 'import' | 'status'> | undefined,
  path: string,
  { format, collection, textField, context = testContext, ...options }: ImportFileOptions = {},
): Promise<ImportReport> {
  const source = await openSource(path, { format, collection, textField });
  try {
    return await runImport(engine, source, context, { metric: 'cosine', ...options });
  } finally {
    await source.close?.();
  }
}

/** What an export says apart from where and when its items were written. */
export function contentOf(lines: readonly string[]): unknown[] {
  return lines.map(line => {
    const { store, moment, version, written, origin, end, ...rest } = JSON.parse(line);
    return end === undefined ? rest : { items: end.items };
  });
}
