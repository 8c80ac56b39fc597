import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { IngestAnswer } from '../../domain/face.js';
import { expandHome } from '../../paths.js';
import type { Call } from '../command.js';
import { contextOf, withEngine } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { count, oneLine, say, sayJson } from '../printing.js';
import { ProgressLine } from '../progress-line.js';

/** `ingest <paths…>`: progress on stderr, the figures on stdout. Ctrl-C stops after what was acknowledged; exit 1 then. */
export default async function ingest(call: Call): Promise<number> {
  const machine = { platform: process.platform, home: homedir(), cwd: process.cwd() };
  const paths = call.positionals.map(path => resolve(machine.cwd, expandHome(path, machine)));
  // Whoever types a path at a terminal may read it: the roots that bind a model are these very paths.
  const roots = paths.map(rootOf);
  const include = call.texts('include');
  const exclude = call.texts('exclude');
  const abort = new AbortController();
  const onInterrupt = () => abort.abort();
  process.once('SIGINT', onInterrupt);
  const progress = new ProgressLine(process.stderr, { unit: 'files' });
  try {
    const started = performance.now();
    const answer = await withEngine(call, { create: true }, engine =>
      engine.ingest(
        {
          paths,
          collection: call.text('collection') ?? 'default',
          roots,
          prune: !call.has('no-prune'),
          prune_over_half: call.has('prune-over-half'),
          allow_secrets: call.has('allow-secrets'),
          ...(include.length === 0 ? {} : { include }),
          ...(exclude.length === 0 ? {} : { exclude }),
        },
        contextOf('ingest', { signal: abort.signal, onProgress: p => progress.show(p) }),
      ),
    );
    progress.end();
    if (call.has('json')) sayJson(answer);
    else sayAnswer(answer, performance.now() - started);
    return answer.done ? EXIT.ok : EXIT.unsound;
  } finally {
    progress.end();
    process.removeListener('SIGINT', onInterrupt);
  }
}

function rootOf(path: string): string {
  try {
    return statSync(path).isDirectory() ? path : dirname(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new CodedError('PATH_NOT_FOUND', `${path}: there is no such file or folder`, 'Check the path.', {
      cause: error,
    });
  }
}

function sayAnswer(answer: IngestAnswer, tookMs: number): void {
  const { added, updated, unchanged, removed } = answer.chunks;
  say(
    `${count(answer.files, 'file')} in ${(tookMs / 1000).toFixed(1)} s: ${added} chunks added, ${updated} updated, ${unchanged} unchanged, ${removed} removed; the head is event ${answer.seq}`,
  );
  if (!answer.done) say(`${count(answer.remaining, 'file')} not read yet: the same command goes on.`);
  for (const { path, reason } of answer.skipped.slice(0, 20)) {
    say(`skipped ${oneLine(path, 200)}: ${oneLine(reason, 200)}`);
  }
  if (answer.skipped.length > 20) say(`skipped ${answer.skipped.length - 20} more (all of them: --json)`);
}
