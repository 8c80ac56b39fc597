import { CodedError } from '../../domain/errors.js';
import type { CallContext, Engine } from '../../domain/face.js';
import type { Change, RevertCommand } from '../../domain/travel.js';
import { usage } from '../arguments.js';
import type { Call } from '../command.js';
import { contextOf, withEngine } from '../engine.js';
import { oneLine, say } from '../printing.js';
import { takeBack } from '../take-back.js';

/** A pause this long separates two ingests of one session. */
const INGEST_PAUSE_MS = 60_000;
const PAGE = 1000;

/** `undo [write|session|ingest]`: what the last one changed. Shows it; --yes takes it back. */
export default async function undo(call: Call): Promise<number> {
  const [what = 'write', session] = call.positionals;
  if (!['write', 'session', 'ingest'].includes(what))
    throw usage({ name: 'undo' }, `${JSON.stringify(what)} is not one of write, session, ingest`);
  if (session !== undefined && what !== 'session')
    throw usage({ name: 'undo' }, 'a session’s id goes with "session"');
  const context = contextOf('undo');
  return withEngine(call, { create: false }, async engine => {
    const command = await commandOf(engine, what, session, context);
    const overwrite_conflicts = call.has('overwrite-conflicts');
    return takeBack(engine, { ...command, overwrite_conflicts }, call, context);
  });

  async function commandOf(
    engine: Engine,
    kind: string,
    named: string | undefined,
    caller: CallContext,
  ): Promise<RevertCommand> {
    if (named !== undefined) return { session: named };
    if (kind === 'ingest') return lastIngest(engine, caller, call);
    const last = await lastChange(engine, caller);
    if (!call.has('json')) announce(kind === 'session' ? 'session of the last write' : 'last write', last);
    return kind === 'session'
      ? { session: sessionOf(last) }
      : { since: String(last.write.first_seq), until: String(last.write.last_seq) };
  }
}

async function lastChange(engine: Engine, context: CallContext): Promise<Change> {
  for await (const change of changes(engine, context)) if (change.id !== undefined) return change;
  throw new CodedError(
    'REVERT_EMPTY',
    'there is nothing to undo: no item was ever written',
    'Name another store.',
  );
}

/** The transactions of one ingest, which come one a file, newest first, without a long pause between them. */
async function lastIngest(engine: Engine, context: CallContext, call: Call): Promise<RevertCommand> {
  let newest: Change | undefined;
  let oldest: Change | undefined;
  for await (const change of changes(engine, context)) {
    const isIngest = change.actor?.tool === 'vector_ingest' || change.actor?.tool === 'cli ingest';
    if (newest === undefined || oldest === undefined) {
      if (!isIngest) continue;
      newest = change;
      oldest = change;
      continue;
    }
    if (change.actor?.session !== newest.actor?.session) continue;
    if (!isIngest || Date.parse(oldest.time) - Date.parse(change.time) > INGEST_PAUSE_MS) break;
    oldest = change;
  }
  if (newest === undefined || oldest === undefined)
    throw new CodedError('REVERT_EMPTY', 'nothing was ever ingested here', 'Name another store.');
  if (!call.has('json')) announce('last ingest', newest);
  return {
    session: sessionOf(newest),
    since: String(oldest.write.first_seq),
    until: String(newest.write.last_seq),
  };
}

async function* changes(engine: Engine, context: CallContext): AsyncGenerator<Change> {
  for (let cursor: string | undefined; ; ) {
    const page = await engine.history({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) }, context);
    yield* page.changes;
    cursor = page.cursors.at(-1);
    if (!page.more || cursor === undefined) return;
  }
}

function sessionOf({ actor, seq }: Change): string {
  if (actor !== null) return actor.session;
  throw new CodedError(
    'REVERT_EMPTY',
    `event ${seq} does not say which session wrote it`,
    'Undo the write alone: undo write.',
  );
}

function announce(what: string, { actor, time, write }: Change): void {
  const who = actor === null ? 'unknown' : `${actor.clientName} · ${actor.tool} · session ${actor.session}`;
  say(`${what}: events ${write.first_seq} to ${write.last_seq}, ${time}, ${oneLine(who, 120)}`);
}
