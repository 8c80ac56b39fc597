// History, difference and revert over a MapLog: the plainest that is right.
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { CodedError } from '#src/domain/errors.js';
import { timeOf } from './map-log.mjs';

const view = item => item && { version: item.version, text: item.text, metadata: item.metadata };
const sessionOf = (session, actor) => (session === 'current' ? actor.session : session);
const keyOf = ({ collection, id }) => JSON.stringify([collection, id]);

export function history(log, query, { actor }) {
  const { id, collection, session, project, types, limit, cursor } = query;
  const changes = log
    .within(query)
    .filter(change => cursor === undefined || change.seq < Number(cursor))
    .filter(change => collection === undefined || change.collection === collection)
    .filter(
      change => id === undefined || (change.id === id && change.collection === (collection ?? 'default')),
    )
    .filter(change => session === undefined || change.actor.session === sessionOf(session, actor))
    .filter(change => project === undefined || change.actor.project === project)
    .filter(
      change =>
        query.actor === undefined ||
        change.actor.clientName.toLowerCase().includes(query.actor.toLowerCase()),
    )
    .filter(change => types === undefined || types.includes(change.type))
    .reverse();
  const shown = changes.slice(0, limit).map(change => ({
    seq: change.seq,
    time: timeOf(change.seq),
    type: change.type,
    actor: change.actor,
    write: { first_seq: change.first, last_seq: change.last },
    ...(change.id === undefined ? {} : { collection: change.collection, id: change.id }),
    ...(change.before && { before: view(change.before) }),
    ...(change.item && { after: view(change.item) }),
    ...(change.restored_from && { restored_from: change.restored_from }),
    ...(change.mark && { mark: change.mark }),
  }));
  return {
    changes: shown,
    cursors: shown.map(({ seq }) => String(seq)),
    more: changes.length > limit,
    moment: { seq: log.seq, time: timeOf(log.seq) },
  };
}

export function diff(log, { from, to = 'now', collection, limit, cursor }) {
  const [start, end] = [log.resolve(from), log.resolve(to)];
  if (start.seq > end.seq)
    throw new CodedError('INVALID_ARGUMENT', 'from is after to', 'Give them the other way round.');
  const [old, now] = [log.stateAt(start.seq), log.stateAt(end.seq)];
  const touched = new Map(
    log.changes
      .slice(start.seq, end.seq)
      .filter(change => change.id !== undefined)
      .filter(change => collection === undefined || change.collection === collection)
      .map(change => [keyOf(change), change]),
  );
  const all = [...touched.values()]
    .sort((a, b) => b.seq - a.seq)
    .flatMap(change => {
      const before = old.get(change.collection)?.get(change.id);
      const after = now.get(change.collection)?.get(change.id);
      if (!before && !after) return [];
      if (before?.text === after?.text && isDeepStrictEqual(before?.metadata, after?.metadata)) return [];
      const keys = new Set([...Object.keys(before?.metadata ?? {}), ...Object.keys(after?.metadata ?? {})]);
      const differing = [...keys].filter(
        key => !isDeepStrictEqual(before?.metadata[key], after?.metadata[key]),
      );
      return {
        seq: change.seq,
        collection: change.collection,
        id: change.id,
        change: !before ? 'added' : !after ? 'removed' : 'changed',
        ...(before && { from: view(before) }),
        ...(after && { to: view(after) }),
        ...(before && after && before.text !== after.text && { words: wordRuns(before.text, after.text) }),
        ...(before && after && differing.length > 0 && { metadata: differing }),
      };
    });
  const rest = all.filter(({ seq }) => cursor === undefined || seq < Number(cursor));
  const count = kind => all.filter(({ change }) => change === kind).length;
  return {
    from: start,
    to: end,
    counts: { added: count('added'), changed: count('changed'), removed: count('removed') },
    items: rest.slice(0, limit).map(({ seq, ...item }) => item),
    cursors: rest.slice(0, limit).map(({ seq }) => String(seq)),
    more: rest.length > limit,
  };
}

/** Equal words at both ends, and all between as old and new. */
function wordRuns(older, newer) {
  const [a, b] = [older, newer].map(text => text.split(/(?<=\s)/));
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [
    { op: '=', text: a.slice(0, start).join('') },
    { op: '-', text: a.slice(start, a.length - end).join('') },
    { op: '+', text: b.slice(start, b.length - end).join('') },
    { op: '=', text: a.slice(a.length - end).join('') },
  ].filter(({ text }) => text !== '');
}

export function revert(log, command, { actor }, hash) {
  const { dry_run = true, plan: wanted, overwrite_conflicts = false, ...selection } = command;
  const { steps, conflicts } = stepsOf(log, selection, overwrite_conflicts, actor);
  const plan = createHash('sha256')
    .update(JSON.stringify([selection, steps]))
    .digest('hex')
    .slice(0, 16);
  if (wanted !== undefined && wanted !== plan)
    throw new CodedError('PLAN_STALE', 'something else would be done now', 'Look at a new dry run.');
  const restored = steps.filter(step => step.becomes).length;
  const changes = steps.map(({ collection, id, becomes }) =>
    becomes
      ? { type: 'restored', collection, id, item: becomes, restored_from: becomes.version }
      : { type: 'deleted', collection, id },
  );
  const first_seq = dry_run ? 0 : log.append(changes, actor);
  return {
    dry_run,
    plan,
    counts: { restored, deleted: steps.length - restored, conflicts: conflicts.length },
    steps: steps.map(({ collection, id, present, becomes }) => ({
      collection,
      id,
      version: present?.version ?? 0,
      to_version: becomes?.version ?? 0,
      ...(present && { text: present.text.slice(0, 80) }),
      ...(becomes && { to_text: becomes.text.slice(0, 80) }),
    })),
    conflicts,
    embedded: 0,
    seq: log.seq,
    hash: hash(),
    first_seq,
  };
}

function stepsOf(log, { to, ids, session, since, until, seqs, collection }, overwrite, actor) {
  if ([to, ids, session, since, until, seqs].every(part => part === undefined))
    throw new CodedError('REVERT_EMPTY', 'nothing says what is taken back', 'Give one of to, ids, session.');
  const last = new Map(log.changes.map(change => [keyOf(change), change.seq]));
  const selected = log
    .within({ since, until })
    .filter(change => change.id !== undefined)
    .filter(change => to === undefined || change.seq > log.resolve(to).seq)
    .filter(change => collection === undefined || change.collection === collection)
    .filter(change => ids === undefined || ids.includes(change.id))
    .filter(change => ids === undefined || to !== undefined || last.get(keyOf(change)) === change.seq)
    .filter(change => session === undefined || change.actor.session === sessionOf(session, actor))
    .filter(change => seqs === undefined || seqs.includes(change.seq));
  const firsts = new Map([...selected].reverse().map(change => [keyOf(change), change]));
  const taken = new Set(selected.map(({ seq }) => seq));
  const steps = [];
  const conflicts = [];
  for (const { collection: name, id, seq, before: becomes } of firsts.values()) {
    const same = change => change.collection === name && change.id === id;
    const later = log.changes.findLast(change => same(change) && change.seq > seq && !taken.has(change.seq));
    if (later) conflicts.push({ collection: name, id, seq: later.seq, actor: later.actor });
    const present = log.stateAt(log.seq).get(name)?.get(id);
    if ((!later || overwrite) && present !== becomes) steps.push({ collection: name, id, present, becomes });
  }
  return { steps, conflicts };
}

/** The items of these collections, or of all. */
export const itemsOf = (state, names = [...state.keys()]) =>
  names.flatMap(name => [...(state.get(name)?.values() ?? [])]);
