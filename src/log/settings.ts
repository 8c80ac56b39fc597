/** What VECTOR_LOG_ROTATE and VECTOR_LOG_KEEP say. */

/** When a log file is put aside and a new one begun; undefined, and false: never for that reason. */
export interface LogRotation {
  /** Before it would become larger than this. */
  readonly maxBytes: number | undefined;
  /** At the first line of another day, in the machine's zone. */
  readonly daily: boolean;
}

/** Which of the files that were put aside are kept: those within all three bounds. */
export interface LogKeep {
  readonly files: number;
  readonly days: number;
  /** Of all of them together, as they lie on the disk. */
  readonly bytes: number;
}

export const DEFAULT_LOG_ROTATE = '100 MB, daily';
export const DEFAULT_LOG_KEEP = '30 files, 90 days, 1 GB';

const UNITS: Readonly<Record<string, number>> = { kb: 1e3, mb: 1e6, gb: 1e9 };
const LEAST_BYTES = 1e3;
const MOST_BYTES = 1e12;

/** A size such as `100 MB`, in decimal units; undefined where it is none, or below 1 kB or above 1000 GB. */
function bytesOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(kb|mb|gb)$/i.exec(text);
  if (match === null) return undefined;
  const bytes = Math.round(Number(match[1]) * UNITS[match[2]!.toLowerCase()]!);
  return bytes >= LEAST_BYTES && bytes <= MOST_BYTES ? bytes : undefined;
}

const partsOf = (text: string): string[] => text.split(',').map(part => part.trim());

/** @returns undefined for what is neither `off` nor a size, `daily`, or both with a comma between */
export function parseRotation(text: string): LogRotation | undefined {
  if (text.toLowerCase() === 'off') return { maxBytes: undefined, daily: false };
  let maxBytes: number | undefined;
  let daily = false;
  for (const part of partsOf(text)) {
    const bytes = bytesOf(part);
    if (bytes !== undefined && maxBytes === undefined) maxBytes = bytes;
    else if (part.toLowerCase() === 'daily' && !daily) daily = true;
    else return undefined;
  }
  return { maxBytes, daily };
}

/** @returns undefined for what is not a list of `N files`, `N days` and a size, each at most once; what is left out has no bound */
export function parseKeep(text: string): LogKeep | undefined {
  const found: { files?: number; days?: number; bytes?: number } = {};
  for (const part of partsOf(text)) {
    const bytes = bytesOf(part);
    const match = /^(\d{1,5})\s*(file|day)s?$/i.exec(part);
    const name =
      bytes !== undefined ? 'bytes' : match && match[2]!.toLowerCase() === 'day' ? 'days' : 'files';
    if ((bytes === undefined && match === null) || found[name] !== undefined) return undefined;
    found[name] = bytes ?? Number(match![1]);
  }
  return { files: Infinity, days: Infinity, bytes: Infinity, ...found };
}
