/** A vector index in files: written while it is used, read while its graphs are still on their way, and compared. */
import { basename, join } from 'node:path';
import { readCodes, writeCodes } from './codes-file.js';
import type { CompactingRows } from './compacting-rows.js';
import { flagsWithin } from './graph-parts.js';
import {
  encodeRows,
  type FileProofs,
  indexPaths,
  readRowsAndVectors,
  UNPROVEN,
  writeSynced,
  writeVectors,
} from './index-files.js';
import { originOf, type VectorIndexOptions } from './index-options.js';
import { RowTable } from './row-table.js';
import { VectorSlab } from './vector-slab.js';

/** See VectorIndex.save. */
export async function saveIndex(
  { rows, codes }: Pick<CompactingRows, 'rows' | 'codes'>,
  options: VectorIndexOptions,
  dir: string,
  name: string,
): Promise<string[]> {
  const { dimension, metric } = options;
  const origin = originOf(options);
  const { table, slab, graphs, follower } = rows;
  const coded = codes?.state;
  const paths = indexPaths(dir, name, origin.engine);
  let rowsFile!: Buffer;
  let flags!: Uint8Array;
  let graphEnds!: readonly number[];
  await graphs.save(paths.graph, ends => {
    graphEnds = ends;
    rowsFile = encodeRows(table, { dimension, metric, coded: coded?.rows ?? 0, ...origin, graphEnds });
    flags = table.flags.slice();
  });
  await writeVectors(paths.vectors, slab, flags.length);
  await writeSynced(paths.rows, rowsFile);
  if (codes !== undefined && coded !== undefined) await writeCodes(paths.codes, codes, coded);
  for (const [part, end] of graphEnds.entries())
    await follower.check(paths.graph(part), flagsWithin(flags, graphEnds[part - 1] ?? 0, end));
  const written = [paths.vectors, paths.rows];
  if (coded !== undefined) written.push(paths.codes);
  written.push(...graphEnds.map((_, part) => paths.graph(part)));
  return written.map(path => path.slice(join(dir, '/').length));
}

/** Fills what is still empty. See VectorIndex.load. */
export async function loadIndex(
  kept: CompactingRows,
  options: VectorIndexOptions,
  dir: string,
  name: string,
  proofs: FileProofs | undefined,
): Promise<void> {
  const origin = originOf(options);
  const paths = indexPaths(dir, name, origin.engine);
  const { rows } = kept;
  const check = (path: string) => proofs?.begin(basename(path)) ?? UNPROVEN;
  const { coded, graphEnds } = await readRowsAndVectors(paths, rows.table, rows.slab, origin, check);
  if (coded > 0) await readCodes(paths.codes, kept.newCodes(), coded, check(paths.codes));
  const graphs = graphEnds.map((end, part) => {
    const path = paths.graph(part);
    return { path, digest: proofs?.digest(basename(path)), end };
  });
  rows.loaded(graphs);
  kept.compactIfDue(true);
  rows.follower.attached?.then(() => kept.compactIfDue(true));
}

/** See VectorIndex.holdsLiveRowsOf. */
export async function hasLiveRows(
  kept: Pick<CompactingRows, 'rows'>,
  options: VectorIndexOptions,
  dir: string,
  name: string,
): Promise<boolean> {
  const { dimension, metric } = options;
  const [table, slab] = [new RowTable(), new VectorSlab(dimension, metric)];
  const origin = originOf(options);
  const paths = indexPaths(dir, name, origin.engine);
  await readRowsAndVectors(paths, table, slab, origin, () => UNPROVEN);
  // Only now: others may have come into use meanwhile.
  const own = kept.rows;
  if (own.table.live !== table.live) return false;
  let row = 0;
  for (let saved = 0; saved < table.rows; saved++) {
    if (table.isDead(saved)) continue;
    while (own.table.isDead(row)) row++;
    if (own.table.owners[row] !== table.owners[saved]) return false;
    const [one, other] = [own.slab.vector(row), slab.vector(saved)];
    if (one.some((value, i) => value !== other[i])) return false;
    row++;
  }
  return true;
}
