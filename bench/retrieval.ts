/**
 * How well search finds: `npm run bench:retrieval [-- directory]` stores every set of the directory (default
 * ../shared/eval beside the project) in an engine of its own, exact scan, default embedder, and asks its queries in each mode.
 *
 * A set is a directory of corpus.jsonl {id, [page, title, heading], text}, queries.jsonl {id, text} and qrels.jsonl {query, doc}
 * or {query, page}, where any chunk of the page is right. Printed per set and as their mean: R@1 and R@10, the share of the
 * queries with a right item within the first 1 and 10, and MRR@10, the mean of 1/rank of the first right one (0 beyond 10).
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import pino from 'pino';
import { readConfig } from '#src/config.js';
import type { CallContext, SearchMode } from '#src/domain/face.js';
import { createEmbeddedEmbedder } from '#src/embedding/embedded/embedder.js';
import { openEngine } from '#src/engine/open.js';

interface Doc {
  readonly id: string;
  readonly page?: string;
  readonly title?: string;
  readonly heading?: string;
  readonly text: string;
}
interface Query {
  readonly id: string;
  readonly text: string;
}
interface Judgement {
  readonly query: string;
  readonly doc?: string;
  readonly page?: string;
}
type Figures = readonly [recallAt1: number, recallAt10: number, meanReciprocalRank: number];

const MODES: readonly SearchMode[] = ['keyword', 'semantic', 'hybrid'];
const K = 10;
const ITEMS_PER_CALL = 100;
const context: CallContext = {
  actor: {
    clientName: 'bench',
    clientVersion: '0',
    session: 'bench',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'bench retrieval',
  },
};

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, '../../../shared/eval'));
if (!existsSync(directory)) {
  console.error(
    `No retrieval sets in ${directory}: give their directory, as in \`npm run bench:retrieval -- DIR\`.`,
  );
  process.exit(2);
}
const sets = readdirSync(directory, { withFileTypes: true }).flatMap(entry =>
  existsSync(join(directory, entry.name, 'corpus.jsonl')) ? [entry.name] : [],
);
if (sets.length === 0) {
  console.error(`No retrieval sets in ${directory}: none of its directories has a corpus.jsonl.`);
  process.exit(2);
}

const results = new Map<SearchMode, Figures[]>(MODES.map(mode => [mode, []]));
for (const set of sets) {
  const figures = await measure(set);
  console.log(`\n${set}`);
  for (const [i, mode] of MODES.entries()) {
    print(mode, figures[i]!);
    results.get(mode)!.push(figures[i]!);
  }
}
console.log(`\nmean of ${sets.length} sets`);
const means = MODES.map(mode => mean(results.get(mode)!));
for (const [i, mode] of MODES.entries()) print(mode, means[i]!);
const [keyword, semantic, hybrid] = means as [Figures, Figures, Figures];
const isBest = hybrid.every((figure, i) => figure > keyword[i]! && figure > semantic[i]!);
console.log(`\nhybrid is ${isBest ? '' : 'NOT '}above both on the mean of every figure`);
process.exitCode = isBest ? 0 : 1;

async function measure(set: string): Promise<Figures[]> {
  const corpus = readLines<Doc>(set, 'corpus.jsonl');
  const queries = readLines<Query>(set, 'queries.jsonl');
  const right = rightItems(corpus, readLines<Judgement>(set, 'qrels.jsonl'));
  const path = mkdtempSync(join(tmpdir(), 'bench-retrieval-'));
  const embedder = createEmbeddedEmbedder();
  const engine = await openEngine({
    path,
    config: readConfig({ VECTOR_DB_PATH: path }),
    logger: pino({ level: 'silent' }),
    embedder,
    graphThresholdRows: Number.POSITIVE_INFINITY,
  });
  try {
    for (let start = 0; start < corpus.length; start += ITEMS_PER_CALL) {
      const items = corpus
        .slice(start, start + ITEMS_PER_CALL)
        .map(doc => ({ id: doc.id, text: stored(set, doc) }));
      await engine.upsert({ collection: 'bench', items, allow_secrets: true }, context);
    }
    const figures: Figures[] = [];
    for (const mode of MODES) {
      const perQuery: Figures[] = [];
      for (const { id, text } of queries) {
        const { results } = await engine.search({ query: text, k: K, mode }, context);
        const rank = results.findIndex(result => right.get(id)?.has(result.id)) + 1;
        perQuery.push([rank === 1 ? 1 : 0, rank > 0 ? 1 : 0, rank > 0 ? 1 / rank : 0]);
      }
      figures.push(mean(perQuery));
    }
    return figures;
  } finally {
    await engine.close();
    await embedder.close();
    rmSync(path, { recursive: true, force: true });
  }
}

/** The text as ingest would store it, below its heading path. In docs-headings the heading is the query: it stays out. */
function stored(set: string, { title, heading, text }: Doc): string {
  const path = [title, set === 'docs-headings' ? undefined : heading].filter(part => part !== undefined);
  return path.length === 0 ? text : `${path.join(' > ')}\n\n${text}`;
}

function rightItems(corpus: readonly Doc[], judgements: readonly Judgement[]): Map<string, Set<string>> {
  const right = new Map<string, Set<string>>();
  for (const { query, doc, page } of judgements) {
    const ids = doc === undefined ? corpus.filter(other => other.page === page).map(({ id }) => id) : [doc];
    right.set(query, new Set([...(right.get(query) ?? []), ...ids]));
  }
  return right;
}

function readLines<T>(set: string, file: string): T[] {
  return readFileSync(join(directory, set, file), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as T);
}

function mean(all: readonly Figures[]): Figures {
  const of = (i: 0 | 1 | 2) => all.reduce((sum, figures) => sum + figures[i], 0) / all.length;
  return [of(0), of(1), of(2)];
}

function print(mode: string, [recallAt1, recallAt10, meanReciprocalRank]: Figures): void {
  const figure = (value: number) => value.toFixed(3);
  console.log(
    `  ${mode.padEnd(9)} R@1 ${figure(recallAt1)}  R@10 ${figure(recallAt10)}  MRR@10 ${figure(meanReciprocalRank)}`,
  );
}
