import { isCoded } from '../../domain/errors.js';
import type { MigrateAnswer } from '../../ops/migrate/migrate.js';
import type { Call } from '../command.js';
import { configOf, contextOf } from '../engine.js';
import { EXIT } from '../exit-codes.js';
import { count, oneLine, say, sayJson } from '../printing.js';
import { ProgressLine } from '../progress-line.js';

const STEP_MS = 8.64e15;

/** `migrate`: the format of a store beside this program's, and with --yes the way from the one to the other. Exit 1 where it is not the present one. */
export default async function migrate(call: Call): Promise<number> {
  process.umask(0o077);
  const { storePath } = configOf(call);
  const time = call.integer('time', { min: 0, max: STEP_MS, fallback: Date.now() });
  const { migrate: run } = await import('../../ops/migrate/migrate.js');
  const progress = new ProgressLine(process.stderr, { unit: 'records' });
  const answer = await run(storePath, {
    apply: call.has('yes') && !call.has('check'),
    time: new Date(time),
    onStep: (message, done) => progress.show({ done, unit: 'records', message }),
  })
    .catch((error: unknown) => (call.has('yes') ? Promise.reject(error) : ofOwner(call, error)))
    .finally(() => progress.end());
  if (call.has('json')) sayJson(answer);
  else for (const line of linesOf(answer, storePath)) say(line);
  return answer.state === 'current' || answer.state === 'none' ? EXIT.ok : EXIT.unsound;
}

/** Of a store that a server has open: that server reads and writes it, so it is of its format; and it answers this version alone. */
async function ofOwner(call: Call, error: unknown): Promise<MigrateAnswer> {
  if (!isCoded(error) || error.code !== 'STORE_IN_USE') throw error;
  const [{ connectToOwner }, { PROGRAM_FORMAT }] = await Promise.all([
    import('../../local/client.js'),
    import('../../ops/migrate/format.js'),
  ]);
  const engine = await connectToOwner(configOf(call).storePath);
  if (engine === undefined) throw error;
  try {
    const { head } = await engine.status({}, contextOf('migrate'));
    const store = { lowest: PROGRAM_FORMAT, highest: PROGRAM_FORMAT };
    return { state: 'current', program: PROGRAM_FORMAT, store, records: head.seq, steps: [], done: false };
  } finally {
    await engine.close();
  }
}

function linesOf(answer: MigrateAnswer, storePath: string): string[] {
  const { state, program, store, records, steps, reason, done, aside } = answer;
  const versions =
    store === undefined
      ? 'none'
      : store.lowest === store.highest
        ? `${store.lowest}`
        : `${store.lowest} to ${store.highest}`;
  const told = {
    none: `${storePath} holds no store: the first write makes one of format ${program}.`,
    current: done
      ? 'It was migrated, verified, and is sound.'
      : 'It is the present format: nothing is to be done.',
    older: 'It is of an earlier format. Stop the server, then: mcp-vector-server migrate --yes',
    newer: `It was written by a later version: ${oneLine(reason ?? '', 300)}. Use that version, or a later one.`,
    damaged: `It is damaged: ${oneLine(reason ?? '', 300)}. See mcp-vector-server verify.`,
  }[state];
  return [
    ...(state === 'none'
      ? []
      : [`store    format ${versions}, ${count(records, 'record')}`, `program  format ${program}`]),
    ...steps.map(({ from, to, summary }) => `step     ${from} to ${to}: ${summary}`),
    ...(aside === undefined ? [] : [`before   ${aside} in the store`]),
    told,
  ];
}
