import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { SearchMode } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import type { DiskProfile } from '../../ops/disk-probe.js';
import type { SearchProfile } from '../../ops/profile-search.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { configOf, contextOf, whereOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { interruptible } from '../interruptible.js';
import { columns, count, oneLine, say, sayJson, size } from '../printing.js';

/**
 * `profile`: where the time of searches goes; with --disk how fast the disk is, with --heap whether memory grows, with --cpu what the process does. Exit 1
 * where a search was slow, memory grows, or the disk is unsafe.
 */
export default async function profile(call: Call): Promise<number> {
  const kinds = ['disk', 'heap'].filter(name => call.has(name));
  if (call.text('cpu') !== undefined) kinds.push('cpu');
  if (kinds.length > 1) throw usage({ name: 'profile' }, `--${kinds.join(' and --')} go one at a time`);
  switch (kinds[0]) {
    case 'disk':
      return profileDisk(call);
    case 'heap':
      return (await import('./profile-heap.js')).profileHeap(call);
    case 'cpu':
      return profileCpu(call);
    default:
      return profileSearches(call);
  }
}

/** Queries that one call asks. */
const MAX_QUERIES = 1_000;

async function profileSearches(call: Call): Promise<number> {
  const { GUIDE_QUERIES, SLOW_MS, profileSearch } = await import('../../ops/profile-search.js');
  const queries = [
    ...call.texts('query'),
    ...(await linesOf(call.text('queries'))),
    ...(call.has('guide') ? GUIDE_QUERIES : []),
  ];
  const where = whereOf(call);
  const collection = call.text('collection');
  const answer = await interruptible('queries', more =>
    withEngine(call, { create: false }, engine =>
      profileSearch(
        engine,
        {
          ...(queries.length > 0 && { queries }),
          repeat: call.integer('repeat', { min: 1, max: 1000, fallback: 5 }),
          search: {
            k: call.integer('k', { min: 1, max: LIMITS.k, fallback: 10 }),
            mode: (call.text('mode') as SearchMode | undefined) ?? 'hybrid',
            ...(collection !== undefined && { collections: [collection] }),
            ...(where && { where }),
          },
        },
        contextOf('profile', more),
      ),
    ),
  );
  if (answer === undefined)
    throw new CodedError(
      'INVALID_ARGUMENT',
      'the store has no texts to take queries from',
      'Give queries: --query "…", or --guide.',
    );
  if (call.has('json')) sayJson(answer);
  else sayProfile(answer, SLOW_MS);
  return answer.slow === 0 ? EXIT.ok : EXIT.unsound;
}

/** One query a line; blank lines and those that begin with # are none. @throws CodedError PATH_NOT_FOUND, TOO_LARGE */
async function linesOf(file: string | undefined): Promise<string[]> {
  if (file === undefined) return [];
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new CodedError(
      'PATH_NOT_FOUND',
      `--queries: ${(error as Error).message}`,
      'Name a file of one query a line.',
      {
        cause: error,
      },
    );
  }
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'));
  if (lines.length > MAX_QUERIES)
    throw new CodedError('TOO_LARGE', `--queries: ${lines.length} queries`, `Give at most ${MAX_QUERIES}.`);
  return lines;
}

const ms = (value: number): string => (value < 10 ? value.toFixed(2) : value.toFixed(0));

function sayProfile(
  { queries, cold_ms, warm_ms, stages, slow, advice }: SearchProfile,
  slowMs: number,
): void {
  for (const line of columns([
    ['ms', 'p50', 'p95', 'max'],
    ['cold', ms(cold_ms.p50), ms(cold_ms.p95), ms(cold_ms.max)],
    ...(warm_ms ? [['warm', ms(warm_ms.p50), ms(warm_ms.p95), ms(warm_ms.max)]] : []),
  ]))
    say(line);
  say();
  for (const line of columns([
    ['stage', 'mean ms', 'max ms', 'share'],
    ...stages.map(({ stage, mean_ms, max_ms, share }) => [
      stage,
      ms(mean_ms),
      ms(max_ms),
      `${(100 * share).toFixed(0)} %`,
    ]),
  ]))
    say(line);
  say();
  for (const line of columns([
    ['query', 'cold', 'warm p50', 'hits', 'plan'],
    ...queries.map(({ query, cold_ms, warm_ms, hits, plan, is_slow }) => [
      `${is_slow ? 'SLOW ' : ''}${oneLine(query, 40)}`,
      ms(cold_ms),
      warm_ms ? ms(warm_ms.p50) : '-',
      String(hits),
      [
        plan.mode,
        ...plan.vectors.map(
          v =>
            `${oneLine(v.collection, 20)}: ${v.by === 'graph' ? count(v.graphs, 'graph') : 'scan'}, ${v.scanned_rows} rows scanned`,
        ),
        ...(plan.filtered_to === undefined ? [] : [`filter lets ${plan.filtered_to} through`]),
      ].join('; '),
    ]),
  ]))
    say(line);
  say();
  if (slow === 0) say(`No query took longer than ${slowMs / 1000} s.`);
  else say(`${count(slow, 'query', 'queries')} took longer than ${slowMs / 1000} s.`);
  for (const line of advice) say(`what to do: ${line}`);
}

async function profileDisk(call: Call): Promise<number> {
  const { probeDisk } = await import('../../ops/disk-probe.js');
  const { storePath } = configOf(call);
  const answer = await interruptible('measurements', more => probeDisk({ storeDir: storePath, ...more }));
  if (call.has('json')) sayJson(answer);
  else sayDisk(answer);
  return answer.verdicts.some(({ level }) => level === 'unsafe') ? EXIT.unsound : EXIT.ok;
}

function sayDisk({
  kind,
  free_bytes,
  fsync,
  write_bytes_per_second,
  sequential_read,
  random_read,
  verdicts,
}: DiskProfile) {
  const moving = kind.rotational === undefined ? '' : kind.rotational ? ', rotational' : ', not rotational';
  const cached = (is: boolean) => (is ? ', through the cache of files' : '');
  for (const line of columns([
    [
      'disk',
      `${oneLine(kind.file_system, 40)} on ${oneLine(kind.mount_point, 80)} (${oneLine(kind.source, 80)})${moving}`,
    ],
    ['free', size(free_bytes)],
    [
      'flushed append',
      `p50 ${ms(fsync.p50_ms)} ms, p99 ${ms(fsync.p99_ms)} ms, max ${ms(fsync.max_ms)} ms of ${fsync.count}`,
    ],
    ['write', `${size(write_bytes_per_second)}/s`],
    ['sequential read', `${size(sequential_read.bytes_per_second)}/s${cached(sequential_read.is_cached)}`],
    [
      'random read',
      `${random_read.per_second} of 4 KiB a second, p50 ${ms(random_read.p50_ms)} ms, p99 ${ms(random_read.p99_ms)} ms${cached(random_read.is_cached)}`,
    ],
  ]))
    say(line);
  say();
  for (const { level, about, message } of verdicts)
    say(`${level.padEnd(6)}  ${about.padEnd(5)}  ${oneLine(message, 300)}`);
}

async function profileCpu(call: Call): Promise<number> {
  const seconds = Number(call.text('cpu'));
  const out = resolve(
    call.text('out') ?? `mcp-vector-server-${new Date().toISOString().replace(/[:.]/g, '-')}.cpuprofile`,
  );
  const answer = await interruptible('seconds', more =>
    withEngine(call, { create: false }, engine => engine.profileCpu({ seconds }, contextOf('profile', more))),
  );
  try {
    // What functions are called is nobody else's business; and nothing that is there is written over.
    await writeFile(out, answer.profile, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new CodedError(
      'OUTPUT_FAILED',
      `${out} could not be written: ${(error as Error).message}`,
      'Name another file by --out.',
      {
        cause: error,
      },
    );
  }
  const isOwn = answer.pid === process.pid;
  if (call.has('json')) sayJson({ pid: answer.pid, file: out, is_own: isOwn });
  else {
    say(`${out}: open it in the developer tools of Chrome (Performance), or in speedscope.`);
    if (isOwn) say('No server has this store, so it is this command itself that was watched.');
  }
  return EXIT.ok;
}
