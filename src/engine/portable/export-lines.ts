/**
 * The lines of an export: a header, one for each item, and an end that proves that nothing is missing. docs/import-export.md is the
 * contract.
 */
import type { ExportAnswer, ExportedCollection, ExportedItem } from '../../domain/portable.js';
import { VERSION } from '../../version.js';
import { vectorsFromBase64 } from './vector-bytes.js';

export const EXPORT_FORMAT = 'mcp-vector-server';
export const EXPORT_VERSION = 1;

export interface ExportHeader {
  readonly format: typeof EXPORT_FORMAT;
  readonly format_version: number;
  /** The program's. */
  readonly written_by: string;
  readonly store: ExportAnswer['store'];
  readonly moment: ExportAnswer['moment'];
  /** Whether the items have passages and vectors. */
  readonly vectors: boolean;
  readonly collections: readonly ExportedCollection[];
}

export interface ExportEnd {
  readonly items: number;
  /** Of all bytes before this line, hex. */
  readonly sha256: string;
}

export function headerLine(
  { store, moment, collections = [] }: ExportAnswer,
  { vectors }: { vectors: boolean },
): string {
  const header: ExportHeader = {
    format: EXPORT_FORMAT,
    format_version: EXPORT_VERSION,
    written_by: VERSION,
    store,
    moment,
    vectors,
    collections,
  };
  return JSON.stringify(header);
}

export function itemLine({ passages, vectors, updated_at, ...item }: ExportedItem): string {
  const line = JSON.stringify({ ...item, written: updated_at, ...(passages && { passages }) });
  if (passages === undefined || vectors === undefined) return line;
  const components = vectorsFromBase64(vectors);
  const dimension = components.length / passages.length;
  const rows = passages.map((_, row) => rowJson(components.subarray(row * dimension, (row + 1) * dimension)));
  return `${line.slice(0, -1)},"vectors":[${rows.join(',')}]}`;
}

export function endLine(end: ExportEnd): string {
  return JSON.stringify({ end });
}

function rowJson(row: Float32Array): string {
  let json = '[';
  for (let i = 0; i < row.length; i++) json += i === 0 ? digitsOf(row[i]!) : `,${digitsOf(row[i]!)}`;
  return `${json}]`;
}

/** Nine significant digits always give the same f32 back. To look for fewer takes five times as long and saves a tenth. */
function digitsOf(value: number): string {
  if (!Number.isInteger(value)) return value.toPrecision(9);
  return Object.is(value, -0) ? '-0' : String(value);
}
