/**
 * Taking back a long history: how fast, in how much memory, how long the event loop is held up, and whether what is asked beside it is
 * answered; then whether what it left is what was there before. And what is left of it where the process is killed half way.
 * `npm run bench:revert -- [--events N] [--items M] [--dimension D] [--kills K] [--variants updates,creates] [--seed S]`
 *
 * `updates`: M items, then N upserts of them; the revert restores each. `creates`: M items, then N others; the revert deletes these.
 * Default: 20 000 events on as many items of 8 dimensions, 2 kills. Each step has a process of its own, so that its memory is its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { RevertCommand } from '#src/domain/travel.js';
import type { StoreEngine } from '#src/engine/engine.js';
import { verifyStore } from '#src/engine/verify.js';
import { benchContext, SeededRandom, texts } from './data.js';
import { cpuMs, Watch } from './own-process.js';
import { open as openStore } from './store.js';

const BATCH = 500;
const COLLECTION = 'default';
const TARGET = 'target';
const BESIDE_MS = 25;

const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '20000' },
    items: { type: 'string' },
    dimension: { type: 'string', default: '8' },
    kills: { type: 'string', default: '2' },
    variants: { type: 'string', default: 'updates,creates' },
    /** Live rows from which on there is a graph. Default: the engine's. */
    graph: { type: 'string' },
    seed: { type: 'string', default: '1' },
    /** A step, of the process that runs it alone, and the store that it works on. */
    step: { type: 'string' },
    store: { type: 'string' },
    variant: { type: 'string' },
    /** The events that a step takes back. Default: all after the target. */
    since: { type: 'string' },
    until: { type: 'string' },
  },
});
const events = Number(options.events);
const items = Number(options.items ?? events);
const dimension = Number(options.dimension);

const open = (path: string): Promise<StoreEngine> =>
  openStore(path, { ...(options.graph !== undefined && { graphThresholdRows: Number(options.graph) }) });

const answer = (value: unknown): boolean => process.stdout.write(JSON.stringify(value));

/** M items, a mark, then N events after it. */
async function fill(path: string, variant: string): Promise<void> {
  const random = new SeededRandom(Number(options.seed));
  const text = texts(random, 6);
  const engine = await open(path);
  const write = async (count: number, idOf: (n: number) => string) => {
    for (let done = 0; done < count; done += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => ({
        id: idOf(done + i),
        text: text(),
        metadata: { year: 2000 + random.below(25) },
        vector: Array.from({ length: dimension }, () => random.gaussian()),
      }));
      await engine.upsert({ collection: COLLECTION, items: batch }, benchContext);
    }
  };
  await write(items, n => `item-${n}`);
  await engine.mark({ name: TARGET }, benchContext);
  if (variant === 'updates') await write(events, n => `item-${n % items}`);
  else await write(events, n => `created-${n}`);
  await engine.idle();
  await engine.close();
  answer({});
}

/** Searches, lists and gets beside a revert: each must be of the state before it, or of that after it. */
class Beside {
  private readonly times: number[] = [];
  private isOver = false;
  private readonly asking: Promise<void>;

  constructor(
    private readonly engine: StoreEngine,
    private readonly beforeSeq: number,
    private readonly before: Shown,
  ) {
    this.asking = this.ask();
  }

  private async ask(): Promise<void> {
    while (!this.isOver) {
      await sleep(BESIDE_MS);
      const startMs = performance.now();
      const shown = await show(this.engine);
      this.times.push(performance.now() - startMs);
      // What is over by the time of the last answer may be seen by it.
      if (!this.isOver && shown.seq !== this.beforeSeq && this.sawAfter++ > 0)
        throw new Error(`an answer of event ${shown.seq} in the middle of a revert`);
      if (shown.seq === this.beforeSeq && shown.text !== this.before.text)
        throw new Error(`other answers of event ${shown.seq} than before the revert`);
    }
  }
  /** One answer may come between the end of the revert and its being noticed. */
  private sawAfter = 0;

  async end(): Promise<Record<string, string>> {
    this.isOver = true;
    await this.asking;
    const times = this.times.sort((a, b) => a - b);
    const at = (share: number) => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(1);
    return {
      'a search, a list and a get beside it': `${times.length}`,
      'their time, median · 99 % · longest, ms': `${at(0.5)} · ${at(0.99)} · ${at(1)}`,
    };
  }
}

interface Shown {
  readonly seq: number;
  readonly text: string;
}

/** One question of each kind. */
async function show(engine: StoreEngine): Promise<Shown> {
  const vector = Array.from({ length: dimension }, (_, i) => Math.cos(i + 1));
  const [search, list, get] = await Promise.all([
    engine.search({ vector, k: 10, mode: 'semantic' }, benchContext),
    engine.list({ collection: COLLECTION, limit: 10 }, benchContext),
    engine.get({ collection: COLLECTION, ids: ['item-0', 'created-0'] }, benchContext),
  ]);
  const seqs = new Set([search.moment.seq, list.moment.seq, get.moment.seq]);
  if (seqs.size > 1) throw new Error(`three answers of one turn are of events ${[...seqs].join(' and ')}`);
  // The graph's answers may differ by a neighbour once it is built anew.
  return { seq: list.moment.seq, text: JSON.stringify([list.items, get.items]) };
}

const collect = (): void => (globalThis as { gc?: () => void }).gc?.();

/** A dry run, the revert by its plan, and what came of it. */
async function revert(path: string): Promise<void> {
  const startMs = performance.now();
  const engine = await open(path);
  const openMs = performance.now() - startMs;
  await engine.idle();
  collect();
  await sleep(200);
  collect();
  const row: Record<string, string | number> = { 'open, ms': openMs.toFixed(0) };
  const { since, until } = options;
  const command: RevertCommand =
    since === undefined || until === undefined ? { to: TARGET } : { since, until };
  const before = await show(engine);
  const watched = async <T>(name: string, work: (watch: Watch) => Promise<T>): Promise<T> => {
    const watch = new Watch();
    const beside = new Beside(engine, before.seq, before);
    const workMs = performance.now();
    const ranMs = cpuMs();
    const result = await work(watch);
    const ms = performance.now() - workMs;
    const figures = {
      ms: ms.toFixed(0),
      'ms that its thread ran': (cpuMs() - ranMs).toFixed(0),
      ...(await beside.end()),
      ...watch.end(),
    };
    for (const [figure, value] of Object.entries(figures)) row[`${name}: ${figure}`] = value;
    return result;
  };
  const shown = await watched('dry run', () => engine.revert(command, benchContext));
  row['dry run: answer, kB'] = (JSON.stringify(shown).length / 1000).toFixed(0);
  collect();
  const { restored, deleted } = shown.counts;
  const done = await watched('apply', watch => {
    watch.during = 'planning';
    const onProgress = ({ done: n, total }: { done: number; total?: number }) => {
      watch.during = n === total ? 'applying' : 'writing';
    };
    return engine.revert({ ...command, plan: shown.plan, dry_run: false }, { ...benchContext, onProgress });
  });
  row.items = restored + deleted;
  const perSecond = (ms: unknown) => Math.round((restored + deleted) / (Number(ms) / 1000));
  row['items/s'] = perSecond(row['apply: ms']);
  row['items/s of the time that its thread ran'] = perSecond(row['apply: ms that its thread ran']);
  const idle = new Watch();
  const idleMs = performance.now();
  await engine.idle();
  row['afterwards: ms'] = (performance.now() - idleMs).toFixed(0);
  for (const [figure, value] of Object.entries(idle.end())) row[`afterwards: ${figure}`] = value;
  await engine.close();
  answer({ row, first: done.first_seq, last: done.seq, before: shown.seq, counts: shown.counts });
}

/** How the head differs from a moment: nothing, if it was taken back to it. */
async function check(
  path: string,
  moment: string,
): Promise<{ differing: number; items: number; openMs: number }> {
  const startMs = performance.now();
  const engine = await open(path);
  const openMs = performance.now() - startMs;
  const { counts } = await engine.diff({ from: moment, limit: 1 }, benchContext);
  const [now, then] = await Promise.all(
    [{}, { as_of: moment }].map(query => engine.status(query, benchContext)),
  );
  const itemsOf = (status: typeof now) => status!.collections.reduce((sum, { items: n }) => sum + n, 0);
  const differing = counts.added + counts.changed + counts.removed;
  if (differing === 0 && itemsOf(now) !== itemsOf(then)) throw new Error('no difference, but other counts');
  await engine.close();
  return { differing, items: itemsOf(now), openMs };
}

function runStep<T>(step: string, store: string, more: readonly string[] = []): T {
  const { stdout, stderr, status } = spawnSync(process.execPath, stepArguments(step, store, more), {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${step}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

function stepArguments(step: string, store: string, more: readonly string[]): string[] {
  const given = ['events', 'dimension', 'seed'].flatMap(name => [
    `--${name}`,
    `${options[name as 'events']}`,
  ]);
  if (options.graph !== undefined) given.push('--graph', options.graph);
  const program = ['--expose-gc', fileURLToPath(import.meta.url)];
  return [...program, ...given, '--items', `${items}`, '--step', step, '--store', store, ...more];
}

/** Kills the process that reverts after a time, and says which side of the revert the store is on. */
async function kill(store: string, head: number, afterMs: number): Promise<string> {
  const child = spawn(process.execPath, stepArguments('apply', store, []), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()));
  // It says so when it begins.
  await Promise.race([new Promise(resolve => child.stdout.once('data', resolve)), exited]);
  await sleep(afterMs);
  child.kill('SIGKILL');
  await exited;
  const [toTarget, toHead] = [await check(store, TARGET), await check(store, String(head))];
  const report = await verifyStore(store);
  if (!report.sound) throw new Error(`after a kill: ${JSON.stringify(report.findings.slice(0, 3))}`);
  if (toTarget.differing === 0) return 'all';
  if (toHead.differing === 0) return 'nothing';
  throw new Error(
    `after a kill ${toTarget.differing} items differ from the target, ${toHead.differing} from before`,
  );
}

async function apply(path: string): Promise<void> {
  const engine = await open(path);
  process.stdout.write('begun');
  await engine.revert({ to: TARGET, dry_run: false }, benchContext);
  await engine.close();
}

interface Reverted {
  readonly row: Record<string, string | number>;
  readonly first: number;
  readonly last: number;
  readonly before: number;
}

async function measure(variant: string, root: string): Promise<void> {
  const store = join(root, variant);
  const print = (name: string, value: string | number) =>
    process.stdout.write(`${variant.padEnd(8)}  ${name.padEnd(58)} ${value}\n`);
  const startMs = performance.now();
  runStep('fill', store, ['--variant', variant]);
  print('filled, s', ((performance.now() - startMs) / 1000).toFixed(0));
  const original = join(root, 'original');
  if (Number(options.kills) > 0) cpSync(store, original, { recursive: true });

  const done = runStep<Reverted>('revert', store);
  for (const [figure, value] of Object.entries(done.row)) print(figure, value);
  const { differing, items: left, openMs } = await check(store, TARGET);
  if (differing > 0) throw new Error(`${differing} items are not as they were`);
  print('afterwards: items, as at the target', left);
  print('afterwards: open, ms', openMs.toFixed(0));

  const back = runStep<Reverted>('revert', store, ['--since', `${done.first}`, '--until', `${done.last}`]);
  for (const figure of [
    'items',
    'apply: ms',
    'items/s',
    'apply: memory more at the peak, MiB',
    'apply: longest turns of the event loop, ms',
  ])
    print(`the revert of the revert: ${figure}`, back.row[figure]!);
  const again = await check(store, `${done.before}`);
  if (again.differing > 0) throw new Error(`${again.differing} items are not back`);
  print('the revert of the revert: items, as before', again.items);
  const verified = performance.now();
  const report = await verifyStore(store);
  if (!report.sound) throw new Error(`verify: ${JSON.stringify(report.findings.slice(0, 3))}`);
  print('verify: sound, s', ((performance.now() - verified) / 1000).toFixed(1));

  const random = new SeededRandom(Number(options.seed) + 1);
  const outcomes: string[] = [];
  for (let n = 0; n < Number(options.kills); n++) {
    const killed = join(root, 'killed');
    cpSync(original, killed, { recursive: true });
    // Spread over the whole of it.
    const afterMs = ((n + random.uniform()) / Number(options.kills)) * Number(done.row['apply: ms']);
    outcomes.push(`${await kill(killed, done.before, afterMs)} (${afterMs.toFixed(0)} ms)`);
    rmSync(killed, { recursive: true });
  }
  if (outcomes.length > 0) print('killed half way, what counts', outcomes.join(', '));
  rmSync(original, { recursive: true, force: true });
  rmSync(store, { recursive: true });
}

if (options.step === 'fill') await fill(options.store!, options.variant!);
else if (options.step === 'revert') await revert(options.store!);
else if (options.step === 'apply') await apply(options.store!);
else {
  const root = mkdtempSync(join(tmpdir(), 'mvs-bench-revert-'));
  try {
    for (const variant of options.variants.split(',')) await measure(variant, root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
