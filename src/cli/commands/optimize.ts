import type {
  DuplicateGroup,
  DuplicatesAnswer,
  OptimizeAnswer,
  StoreFigures,
} from '../../domain/optimize.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { interruptible } from '../interruptible.js';
import { columns, count, oneLine, say, sayJson, size } from '../printing.js';

/** `optimize`: duplicates on request, dead vectors, graphs, files of the log, leftovers. Exit 1 where a step failed. */
export default async function optimize(call: Call): Promise<number> {
  const similarity = call.text('near');
  const near = similarity === undefined ? undefined : Number(similarity);
  if (call.has('merge') && !call.has('duplicates') && near === undefined)
    throw usage({ name: 'optimize' }, '--merge goes with --duplicates or --near');
  const duplicates = near !== undefined ? 'near' : call.has('duplicates') ? 'equal' : undefined;
  const collection = call.text('collection');
  const evidence = call.text('evidence');
  const context = contextOf('optimize');
  const answer = await interruptible('steps', more =>
    withEngine(call, { create: false }, engine =>
      engine.optimize(
        {
          dry_run: call.has('dry-run'),
          ...(duplicates && { duplicates }),
          ...(near !== undefined && { min_similarity: near }),
          ...(collection !== undefined && { collection }),
          ...(call.has('merge') && { merge: true }),
          ...(evidence !== undefined && { evidence_days: Number(evidence) }),
        },
        { ...context, ...more },
      ),
    ),
  );
  if (call.has('json')) sayJson({ ...answer, session: context.actor.session });
  else sayAnswer(answer, context.actor.session);
  return answer.steps.some(({ outcome }) => outcome === 'failed') ? EXIT.unsound : EXIT.ok;
}

function sayAnswer({ dry_run, steps, duplicates, before, after }: OptimizeAnswer, session: string): void {
  if (duplicates !== undefined) sayDuplicates(duplicates);
  for (const line of columns(steps.map(({ step, outcome, message }) => [step, outcome, message]))) say(line);
  say();
  for (const line of columns(figureRows(before, after))) say(line);
  if (dry_run) {
    say();
    say('Nothing was changed. Leave out --dry-run to do it.');
  }
  if (duplicates !== undefined && duplicates.first_seq > 0) {
    say();
    say(`The merge is taken back by: mcp-vector-server revert --session ${session} --yes`);
  }
}

function sayDuplicates({ groups, more, of_files }: DuplicatesAnswer): void {
  for (const group of groups) for (const line of groupLines(group)) say(line);
  if (more) say('There are more: they are found once these are merged.');
  if (of_files > 0)
    say(`${count(of_files, 'equal text')} of files stay: the next ingest would bring them back.`);
  if (groups.length + of_files > 0) say();
}

function groupLines({ collection, kind, kept, others, added, lost, outcome }: DuplicateGroup): string[] {
  const name = (id: string) => oneLine(id, 60);
  const keys = (list: readonly string[]) => list.map(key => oneLine(key, 30)).join(', ');
  return [
    `${oneLine(collection, 40)}: ${kind}, ${outcome}${outcome === 'changed' ? ' meanwhile, so it was left' : outcome === 'left' ? ': the metadata of all is too large for one' : ''}`,
    `  keep  ${name(kept.id)}  ${kept.updated_at}  ${oneLine(kept.preview, 80)}`,
    ...others.map(({ id, updated_at, similarity, preview }) =>
      `  drop  ${name(id)}  ${updated_at}  ${kind === 'near' ? `${similarity.toFixed(3)}  ${oneLine(preview, 80)}` : ''}`.trimEnd(),
    ),
    ...(added.length > 0 ? [`  gets  ${keys(added)}`] : []),
    ...(lost.length > 0 ? [`  loses other values of  ${keys(lost)}`] : []),
  ];
}

function figureRows(before: StoreFigures, after: StoreFigures | undefined): string[][] {
  const ms = (value: number | undefined) => (value === undefined ? '-' : `${value.toFixed(2)} ms`);
  const share = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(3));
  const row = (name: string, of: (figures: StoreFigures) => string) => [
    name,
    of(before),
    ...(after === undefined ? [] : [of(after)]),
  ];
  return [
    ['', after === undefined ? 'now' : 'before', ...(after === undefined ? [] : ['after'])],
    row('vectors', f => String(f.rows)),
    row('of them dead', f => `${f.dead_rows} (${(100 * f.dead_share).toFixed(1)} %)`),
    row('dead, as codes', f => String(f.coded_rows)),
    row('graphs', f => String(f.graphs)),
    row('index memory', f => size(f.index_bytes)),
    row('store', f => size(f.store_bytes)),
    row('log', f => `${size(f.log_bytes)} in ${count(f.tables, 'table')}`),
    row('files', f => String(f.files)),
    row('search p50', f => ms(f.search?.p50_ms)),
    row('search p95', f => ms(f.search?.p95_ms)),
    row('recall@10', f =>
      f.search !== undefined && f.search.recall_at_10 === undefined ? 'exact' : share(f.search?.recall_at_10),
    ),
  ];
}
