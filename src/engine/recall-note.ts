/**
 * What a graph that was built anew for its recall came to: vectors without any structure stay below what is promised, and building the same graph again gives the
 * same. A small file of ops/, a cache: lost, one graph is built once more.
 */
import { readOpsFile, writeOpsFile } from './ops-file.js';

const NAME = 'recall.json';
const FORMAT = 1;
/** A recall is measured by samples, others each time. */
const NOISE = 0.02;
/** Of many more vectors, or far fewer, another graph is made. */
const ALIKE_ROWS = 0.1;

export interface ReachedRecall {
  /** Of living passages. */
  readonly rows: number;
  /** Share of the ten nearest, 0 to 1. */
  readonly recall: number;
}

/** Whether a graph of this recall was built anew before, of about as many vectors, and came to no more. */
export function isInVain(storeDir: string, { rows, recall }: ReachedRecall): boolean {
  const reached = readReached(storeDir);
  return (
    reached !== undefined &&
    Math.abs(rows - reached.rows) <= ALIKE_ROWS * reached.rows &&
    recall >= reached.recall - NOISE
  );
}

/** A file that cannot be read is none: then the graph is built anew, and its recall noted. */
function readReached(storeDir: string): ReachedRecall | undefined {
  try {
    const found: unknown = JSON.parse(readOpsFile(storeDir, NAME) ?? 'null');
    const { format, rows, recall } = (found ?? {}) as Record<string, unknown>;
    return format === FORMAT && typeof rows === 'number' && typeof recall === 'number'
      ? { rows, recall }
      : undefined;
  } catch {
    return undefined;
  }
}

/** @throws what the file system throws */
export const noteReached = (storeDir: string, reached: ReachedRecall): Promise<void> =>
  writeOpsFile(storeDir, NAME, `${JSON.stringify({ format: FORMAT, ...reached })}\n`);
