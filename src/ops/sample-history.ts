/**
 * Samples on disk, in <store>/ops: two files of JSON lines, `samples.jsonl` as they were taken and `hours.jsonl` with the mean of each
 * hour. Lines are appended; a file that has grown too large is written anew without its oldest, under another name, and renamed.
 * A crash leaves at most a last line that is cut off, which is passed over. Anything else that cannot be read is damage: the file is
 * put aside and begun anew. Lost, nothing is lost but the history itself.
 */
import { truncateSync } from 'node:fs';
import { appendFile, chmod } from 'node:fs/promises';
import { CodedError } from '../domain/errors.js';
import type { Sample } from '../domain/health.js';
import { makeOpsDirectory, opsPath, readOpsFile, setAside, writeOpsFile } from '../engine/ops-file.js';
import { meanOf } from './hours.js';
import { isSample } from './sample-form.js';

const HOUR_MS = 3_600_000;
export const HISTORY_BOUNDS = {
  /** How far samples as they were taken reach back. */
  samplesMs: 48 * HOUR_MS,
  /** 13 months: the same month of last year can be looked at. */
  hoursMs: 396 * 24 * HOUR_MS,
  /** Of either file; what is older goes first. */
  maxBytes: 8 * 1024 * 1024,
} as const;

const SAMPLES = 'samples.jsonl';
const HOURS = 'hours.jsonl';
const HEADER = '{"format":1}';
/** A file is written anew once it is this much larger than what should be in it. */
const SLACK = 1.25;

interface Series {
  readonly name: string;
  readonly keepMs: number;
  /** What is in the file. */
  bytes: number;
  /** ms of its first line. */
  oldestMs: number;
}

export interface HistoryOptions {
  readonly storeDir: string;
  readonly clock: () => number;
  readonly warn: (error: CodedError) => void;
  /** For tests. */
  readonly bounds?: Partial<Record<keyof typeof HISTORY_BOUNDS, number>>;
}

export class SampleHistory {
  private readonly bounds: Record<keyof typeof HISTORY_BOUNDS, number>;
  private readonly samples: Series;
  private readonly hours: Series;
  /** Samples of the hour that goes on. */
  private current: Sample[] = [];
  private isLoaded = false;

  constructor(private readonly options: HistoryOptions) {
    this.bounds = { ...HISTORY_BOUNDS, ...options.bounds };
    const series = (name: string, keepMs: number): Series => ({
      ...{ name, keepMs, bytes: 0 },
      oldestMs: Number.POSITIVE_INFINITY,
    });
    this.samples = series(SAMPLES, this.bounds.samplesMs);
    this.hours = series(HOURS, this.bounds.hoursMs);
  }

  /** Keeps a sample, and the mean of the hour before where this one begins another. @throws what the file system throws */
  async add(sample: Sample): Promise<void> {
    this.load();
    const [before] = this.current;
    try {
      if (before !== undefined && hourOf(before) !== hourOf(sample)) {
        await this.append(this.hours, meanOf(this.current));
        this.current = [];
      }
      await this.append(this.samples, sample);
      this.current.push(sample);
    } catch (error) {
      // A full disk takes half a line: what is in the files is looked at before anything is put behind it.
      this.isLoaded = false;
      throw error;
    }
  }

  /** Those since a moment, oldest first; without the hour that goes on its mean so far is the last. @param sinceMs inclusive */
  read(resolution: 'sample' | 'hour', sinceMs: number): Sample[] {
    this.load();
    const series = resolution === 'sample' ? this.samples : this.hours;
    const found = this.readSeries(series);
    if (resolution === 'hour' && this.current.length > 0) found.push(meanOf(this.current));
    return found.filter(({ time }) => Date.parse(time) >= sinceMs);
  }

  /** ms of the oldest sample as it was taken; Infinity where there is none. */
  get oldestSampleMs(): number {
    this.load();
    return this.samples.oldestMs;
  }

  private load(): void {
    if (this.isLoaded) return;
    this.isLoaded = true;
    const taken = this.readSeries(this.samples);
    const means = this.readSeries(this.hours);
    // An earlier owner may have ended before it wrote the mean of its last hour.
    const lastMean = means.length === 0 ? 0 : hourOf(means.at(-1)!);
    const nowHour = Math.floor(this.options.clock() / HOUR_MS);
    const open = taken.filter(sample => hourOf(sample) > lastMean && hourOf(sample) <= nowHour);
    const last = open.length === 0 ? undefined : hourOf(open.at(-1)!);
    this.current = open.filter(sample => hourOf(sample) === last);
  }

  /** All of a file; of a damaged one nothing, and it begins anew. */
  private readSeries(series: Series): Sample[] {
    const { storeDir, warn } = this.options;
    series.bytes = 0;
    series.oldestMs = Number.POSITIVE_INFINITY;
    try {
      const text = readOpsFile(storeDir, series.name);
      if (text === undefined) return [];
      const found = parse(text);
      series.bytes = Buffer.byteLength(text);
      // What was cut off must not become the beginning of the next line.
      if (!text.endsWith('\n')) {
        series.bytes = Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1));
        truncateSync(opsPath(storeDir, series.name), series.bytes);
      }
      if (found.length > 0) series.oldestMs = Date.parse(found[0]!.time);
      return found;
    } catch (error) {
      setAside(storeDir, series.name);
      series.bytes = 0;
      warn(
        new CodedError(
          'OPS_FILE_DAMAGED',
          `the history in ops/${series.name} cannot be read (${(error as Error).message}): it begins anew, and the old file is kept as ${series.name}.damaged`,
          'Nothing needs to be done: samples are kept for looking back alone.',
          { cause: error },
        ),
      );
      return [];
    }
  }

  private async append(series: Series, sample: Sample): Promise<void> {
    const { storeDir } = this.options;
    const line = `${JSON.stringify(sample)}\n`;
    const isNew = series.bytes === 0;
    const text = isNew ? `${HEADER}\n${line}` : line;
    if (isNew) makeOpsDirectory(storeDir);
    const path = opsPath(storeDir, series.name);
    await appendFile(path, text, { mode: 0o600 });
    if (isNew) await chmod(path, 0o600);
    series.bytes += Buffer.byteLength(text);
    series.oldestMs = Math.min(series.oldestMs, Date.parse(sample.time));
    await this.shortenIfDue(series);
  }

  private async shortenIfDue(series: Series): Promise<void> {
    const { maxBytes } = this.bounds;
    const tooOld = this.options.clock() - series.oldestMs > series.keepMs * SLACK;
    if (series.bytes <= maxBytes && !tooOld) return;
    const kept = this.readSeries(series).filter(
      ({ time }) => Date.parse(time) >= this.options.clock() - series.keepMs,
    );
    // Room for a while, so that it is not written anew at every sample.
    let bytes = kept.reduce((sum, sample) => sum + Buffer.byteLength(JSON.stringify(sample)) + 1, 0);
    while (kept.length > 1 && bytes > maxBytes / SLACK)
      bytes -= Buffer.byteLength(JSON.stringify(kept.shift())) + 1;
    await this.rewrite(series, kept);
  }

  private async rewrite(series: Series, samples: readonly Sample[]): Promise<void> {
    const text = `${[HEADER, ...samples.map(sample => JSON.stringify(sample))].join('\n')}\n`;
    await writeOpsFile(this.options.storeDir, series.name, text);
    series.bytes = Buffer.byteLength(text);
    series.oldestMs = samples.length === 0 ? Number.POSITIVE_INFINITY : Date.parse(samples[0]!.time);
  }
}

const hourOf = ({ time }: Sample): number => Math.floor(Date.parse(time) / HOUR_MS);

/** @throws Error where a line but the last, cut off, is no sample */
function parse(text: string): Sample[] {
  const lines = text.split('\n');
  // Behind the last line end stands nothing, or what a crash left of a line.
  lines.pop();
  const [header, ...rest] = lines;
  if (header === undefined) return [];
  if (header !== HEADER) throw new Error('its first line is not that of this format');
  return rest.map((line, n) => {
    const found: unknown = JSON.parse(line);
    if (!isSample(found)) throw new Error(`line ${n + 2} is no sample`);
    return found;
  });
}
