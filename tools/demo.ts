/**
 * `npm run demo`: the real server, a real MCP client over stdio, real documents. Ingest, questions, an overwrite and a
 * delete, the past and taking them back; then kill -9 in the middle of writing, and the proof that everything acknowledged is there.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { columns, count, oneLine, printable, say, size, styler } from '../src/cli/printing.js';
import { ProgressLine } from '../src/cli/progress-line.js';
import type {
  DeleteAnswer,
  GetAnswer,
  IngestAnswer,
  SearchAnswer,
  StatusAnswer,
  UpsertAnswer,
} from '../src/domain/face.js';
import type { HistoryAnswer, MarkAnswer, RevertAnswer } from '../src/domain/travel.js';
import { gatherDocuments } from './demo/documents.js';
import { MAIN, Server } from './demo/server.js';

const PROJECT_ROOT = fileURLToPath(new URL('../../', import.meta.url));
const QUESTIONS = [
  'Can two processes open the same database?',
  'How do I rotate log files?',
  'How do I use the hash functions in Cloudflare Workers?',
];
/** Upserts on their way at the same time, as from several agents, and how many acknowledgements to wait for before the kill. */
const WRITERS = 16;
const ACKNOWLEDGED_BEFORE_KILL = 400;
const GET_BATCH = 100;
/** Of what verify prints: a sound store takes fewer. */
const VERIFY_LINES = 12;

const style = styler(process.stdout);
const heading = (text: string) => say(`\n${style('bold', text)}`);
const line = (text: string) => say(`  ${text}`);
const ms = (from: number) => `${(performance.now() - from).toFixed(1)} ms`;

/** @returns the exit code: 0 when everything acknowledged was there and verify found the store sound */
async function demo(): Promise<number> {
  const startedAll = performance.now();
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'mcp-vector-demo-')));
  const store = join(root, 'store');
  const documents = join(root, 'documents');
  try {
    const files = gatherDocuments(PROJECT_ROOT, documents);
    const started = performance.now();
    let server = await Server.start(store, documents);
    const tools = await server.tools();
    heading('A server on stdio, and an MCP client');
    line(`${tools.length} tools after ${ms(started)}: ${tools.join(', ')}`);

    await ingest(server, documents, files);
    for (const question of QUESTIONS) await ask(server, documents, question);
    await overwriteAndDelete(server);
    beside(store);

    heading(`${WRITERS} writers, and kill -9 of the server in the middle of them`);
    const written = await writeUntilKilled(server);
    const restarted = performance.now();
    server = await Server.start(store, documents);
    const isWhole = await proveAllThere(server, written, restarted);
    await figures(server);
    await server.stop();

    const isSound = verify(store);
    heading(isWhole && isSound ? 'Nothing acknowledged was lost.' : 'THIS SHOULD NOT HAVE HAPPENED.');
    line(style('dim', `${((performance.now() - startedAll) / 1000).toFixed(1)} s in all`));
    return isWhole && isSound ? 0 : 1;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

async function ingest(server: Server, documents: string, files: number): Promise<void> {
  heading(`Ingest: ${count(files, 'Markdown file')} of this project and its dependencies`);
  const progress = new ProgressLine(process.stderr, { unit: 'files' });
  const started = performance.now();
  let added = 0;
  for (let done = false; !done; ) {
    const answer = await server.call<IngestAnswer>(
      'vector_ingest',
      { paths: [documents], collection: 'docs' },
      {
        timeoutMs: 120_000,
        onProgress: p =>
          progress.show({
            done: p.progress,
            message: p.message ?? '',
            ...(p.total === undefined ? {} : { total: p.total }),
          }),
      },
    );
    done = answer.done;
    added += answer.chunks.added;
  }
  progress.end();
  const seconds = (performance.now() - started) / 1000;
  line(
    `${count(added, 'chunk')} in ${seconds.toFixed(1)} s (${Math.round(added / seconds)} a second, each embedded and fsynced)`,
  );
  const again = performance.now();
  const { chunks } = await server.call<IngestAnswer>('vector_ingest', {
    paths: [documents],
    collection: 'docs',
  });
  line(
    `and again: ${count(chunks.unchanged, 'chunk')} unchanged, ${chunks.added + chunks.updated} embedded, ${ms(again)}`,
  );
}

async function ask(server: Server, documents: string, query: string): Promise<void> {
  heading(`“${query}”`);
  const started = performance.now();
  const { results } = await server.call<SearchAnswer>('vector_search', {
    query,
    collections: ['docs'],
    k: 3,
  });
  const took = ms(started);
  for (const { score, metadata, text } of results) {
    const file = relative(documents, String(metadata.file));
    const where = `${file}:${metadata.lines}`;
    const title = metadata.heading === undefined ? '' : style('bold', oneLine(String(metadata.heading), 60));
    line(`${style('green', score.toFixed(3))}  ${style('cyan', printable(where))}  ${title}`);
    line(`       ${style('dim', excerpt(text))}`);
  }
  line(style('dim', took));
}

/** How a chunk goes on below its headings, without the marks of Markdown. */
function excerpt(text: string): string {
  const body = text.split('\n').slice(1).join(' ');
  return oneLine(body.replace(/\]\([^)]*\)/g, '').replace(/[#*`>|[\]]/g, ''), 110);
}

async function overwriteAndDelete(server: Server): Promise<void> {
  heading('An overwrite and a delete');
  const upsert = async (text: string) => {
    const started = performance.now();
    const { items, seq } = await server.call<UpsertAnswer>('vector_upsert', {
      items: [{ id: 'deploy-day', text, metadata: { kind: 'decision' } }],
    });
    line(
      `${items[0]!.outcome.padEnd(8)} version ${items[0]!.version}, event ${seq}, ${ms(started)}  “${text}”`,
    );
  };
  const recall = async (as_of?: string) => {
    const { results } = await server.call<SearchAnswer>('vector_search', {
      query: 'On which day may we deploy?',
      collections: ['default'],
      k: 1,
      ...(as_of === undefined ? {} : { as_of }),
    });
    const what = (as_of === undefined ? 'recall' : `as of ${as_of}`).padEnd(8);
    line(`${what} ${results[0] === undefined ? 'nothing' : `“${oneLine(results[0].text, 90)}”`}`);
  };
  await upsert('Deployments go out on Tuesdays.');
  await recall();
  await server.call<MarkAnswer>('vector_mark', { name: 'before-the-move' });
  await upsert('Deployments go out on Thursdays, since the review was moved to Wednesday.');
  await recall();
  const { deleted, seq } = await server.call<DeleteAnswer>('vector_delete', { ids: ['deploy-day'] });
  line(`deleted  ${deleted.join(', ')}, event ${seq}`);
  await recall();

  heading('The past, and taking things back');
  await recall('before-the-move');
  const { changes } = await server.call<HistoryAnswer>('vector_history', { id: 'deploy-day' });
  for (const { seq: at, type, time } of changes) line(`event ${String(at).padEnd(5)} ${time}  ${type}`);
  const undo = { to: 'before-the-move', collection: 'default' };
  const { plan, counts } = await server.call<RevertAnswer>('vector_revert', undo);
  line(`a dry run would restore ${counts.restored} and delete ${counts.deleted}; its plan is ${plan}`);
  const started = performance.now();
  await server.call<RevertAnswer>('vector_revert', { ...undo, dry_run: false, plan });
  line(`taken back in ${ms(started)}`);
  await recall();
}

/** A command at a terminal while the server has the store: the server answers it. */
function beside(store: string): void {
  heading('A command at a terminal beside the running server');
  const args = ['list', '-c', 'docs', '-n', '3', '--store', store];
  const started = performance.now();
  const { stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  line(style('dim', '$ mcp-vector-server list -c docs -n 3'));
  for (const text of `${stdout}${stderr}`.trim().split('\n')) line(oneLine(text, 120));
  line(style('dim', `${ms(started)}, from the command’s start to its end`));
}

/** What the server acknowledged, by id. */
type Acknowledged = Map<string, { text: string; version: number }>;

async function writeUntilKilled(server: Server): Promise<Acknowledged> {
  const acknowledged: Acknowledged = new Map();
  let sent = 0;
  let isKilled = false;
  const started = performance.now();
  const writer = async () => {
    while (!isKilled) {
      const id = `event-${String(++sent).padStart(6, '0')}`;
      const text = `Order ${sent} was received from customer ${(sent * 7919) % 997} and put into the queue.`;
      try {
        const { items } = await server.call<UpsertAnswer>('vector_upsert', {
          collection: 'stream',
          items: [{ id, text }],
        });
        acknowledged.set(id, { text, version: items[0]!.version });
      } catch (error) {
        // The calls that were on their way when the server died: nobody was told that they were written.
        if (!isKilled) throw error;
      }
    }
  };
  const writers = Array.from({ length: WRITERS }, writer);
  const failed = Promise.all(writers);
  while (acknowledged.size < ACKNOWLEDGED_BEFORE_KILL) {
    await Promise.race([failed, new Promise(resolve => setTimeout(resolve, 5))]);
  }
  isKilled = true;
  const seconds = (performance.now() - started) / 1000;
  await server.kill();
  await failed;
  line(
    `killed after ${seconds.toFixed(1)} s: ${acknowledged.size} writes acknowledged (${Math.round(acknowledged.size / seconds)} a second), ${sent - acknowledged.size} on their way`,
  );
  return acknowledged;
}

/** Every acknowledged write must be there with its text and version; one that was not acknowledged may be. */
async function proveAllThere(server: Server, written: Acknowledged, restarted: number): Promise<boolean> {
  let there = 0;
  const wrong: string[] = [];
  const ids = [...written.keys()];
  let openedMs: number | undefined;
  for (let at = 0; at < ids.length; at += GET_BATCH) {
    const batch = ids.slice(at, at + GET_BATCH);
    const { items } = await server.call<GetAnswer>('vector_get', {
      collection: 'stream',
      ids: batch,
      max_chars: 100_000,
    });
    openedMs ??= performance.now() - restarted;
    const found = new Map(items.map(item => [item.id, item]));
    for (const id of batch) {
      const item = found.get(id);
      const expected = written.get(id)!;
      if (item?.text === expected.text && item.version === expected.version) there++;
      else wrong.push(id);
    }
  }
  line(`restarted: first answer after ${openedMs?.toFixed(0)} ms, from the process’ start`);
  line(
    `${there} of ${written.size} acknowledged writes are there, text and version equal${wrong.length === 0 ? '' : style('red', `; NOT: ${wrong.slice(0, 10).join(', ')}`)}`,
  );
  const { collections } = await server.call<StatusAnswer>('vector_status', {});
  const items = collections.find(c => c.name === 'stream')?.items ?? 0;
  line(
    `${count(items, 'item')} in the collection: ${items - there} more had reached the disk unacknowledged`,
  );
  return wrong.length === 0;
}

async function figures(server: Server): Promise<void> {
  const { head, collections, memory, disk, embedder } = await server.call<StatusAnswer>('vector_status', {});
  heading('Figures');
  const rows = [
    ['events', `${head.seq}, head ${head.hash}`],
    ...collections.map(c => [`“${c.name}”`, `${count(c.items, 'item')}, ${count(c.passages, 'passage')}`]),
    ['embedder', embedder.space],
    ['memory', `${size(memory.rss_bytes)} of the server's process`],
    ['store', size(disk.store_bytes)],
  ];
  for (const row of columns(rows)) line(row);
}

/** `verify` on the closed store, as anybody would run it. */
function verify(store: string): boolean {
  heading('verify');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(PROJECT_ROOT, 'tools/verify'), '--store', store],
    { encoding: 'utf8' },
  );
  const lines = `${stdout}${stderr}`.trim().split('\n');
  for (const text of lines.slice(0, VERIFY_LINES)) line(printable(text));
  if (lines.length > VERIFY_LINES) line(`… ${lines.length - VERIFY_LINES} more lines`);
  return status === 0;
}

process.exitCode = await demo();
