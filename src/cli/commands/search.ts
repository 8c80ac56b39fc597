import { CodedError } from '../../domain/errors.js';
import type { SearchHit, SearchMode } from '../../domain/face.js';
import { LIMITS } from '../../domain/limits.js';
import type { Call } from '../command.js';
import { asOfOf, contextOf, whereOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { count, oneLine, printable, say, sayJson, styler } from '../printing.js';

const PASSAGE_LINES = 6;

/** `search <query>`: the hits with their best passage. Exit 1 where nothing was found, as grep does. */
export default async function search(call: Call): Promise<number> {
  const query = call.positionals[0]!;
  const collection = call.text('collection');
  const where = whereOf(call);
  const since = call.text('since');
  const until = call.text('until');
  const minScore = scoreOf(call);
  const k = call.integer('k', { min: 1, max: LIMITS.k, fallback: 10 });
  const started = performance.now();
  const [answer, tookMs] = await withEngine(call, { create: false }, async engine => {
    const reached = performance.now();
    const found = await engine.search(
      {
        query,
        k,
        mode: (call.text('mode') as SearchMode | undefined) ?? 'hybrid',
        ...(collection === undefined ? {} : { collections: [collection] }),
        ...(where === undefined ? {} : { where }),
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
        ...asOfOf(call),
        ...(minScore === undefined ? {} : { min_score: minScore }),
      },
      contextOf('search'),
    );
    return [found, { reach: reached - started, search: performance.now() - reached }] as const;
  });
  if (call.has('json')) {
    sayJson(answer);
  } else {
    for (const hit of answer.results) printHit(hit);
    const style = styler(process.stdout);
    if (answer.warning !== undefined) say(answer.warning);
    const hint = printable(answer.hint ?? '');
    if (answer.results.length === 0) say(`Nothing found. ${hint}`.trimEnd());
    else if (hint !== '') say(hint);
    say(
      style(
        'dim',
        `${count(answer.results.length, 'result')} as of event ${answer.moment.seq}; ${tookMs.search.toFixed(0)} ms after ${tookMs.reach.toFixed(0)} ms to reach the store`,
      ),
    );
  }
  return answer.results.length === 0 ? EXIT.unsound : EXIT.ok;
}

function scoreOf(call: Call): number | undefined {
  const text = call.text('min-score');
  if (text === undefined) return undefined;
  const score = Number(text);
  if (Number.isFinite(score)) return score;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `--min-score: ${JSON.stringify(text)} is not a number`,
    'Write a number such as 0.4; the scores stand before the results.',
  );
}

function printHit(hit: SearchHit): void {
  const style = styler(process.stdout);
  const title = oneLine(titleOf(hit), 100);
  say(`${style('green', hit.score.toFixed(3))}  ${style('bold', title)}`);
  say(
    style(
      'dim',
      `       ${oneLine(`${hit.collection}/${hit.id}`, 100)}  version ${hit.version}, ${hit.updated_at}, ${hit.origin}`,
    ),
  );
  const lines = printable(hit.text.slice(hit.passage.start, hit.passage.end)).trim().split('\n');
  for (const line of lines.slice(0, PASSAGE_LINES)) say(`       ${line}`);
  if (lines.length > PASSAGE_LINES) say(style('dim', `       … ${lines.length - PASSAGE_LINES} more lines`));
  say();
}

/** Where a chunk of a file comes from, else how the item begins. */
function titleOf({ metadata, text }: Pick<SearchHit, 'metadata' | 'text'>): string {
  const { file, lines, pages, heading } = metadata;
  if (typeof file !== 'string') return text.trimStart().split('\n', 1)[0] ?? '';
  const page = typeof pages === 'string' ? `${file}, page ${pages.replace(/^(\d+)-\1$/, '$1')}` : file;
  const place = typeof lines === 'string' ? `${file}:${lines}` : page;
  return typeof heading === 'string' ? `${place} · ${heading}` : place;
}
