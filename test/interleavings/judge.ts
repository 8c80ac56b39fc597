/** Whether what was answered is what the states of the store explain: each write by the state before it, each read by that of its moment. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type {
  DeleteAnswer,
  GetAnswer,
  ItemView,
  ListAnswer,
  Receipt,
  SearchAnswer,
  UpsertAnswer,
  WriteSpan,
} from '#src/domain/face.js';
import { matches, parseWhere } from '#src/domain/where.js';
import { wordVector } from '../helpers/engine.js';
import { type Command, IDS } from './commands.js';
import { changed, contentOf, type Item, itemsOf, merged, type State, type States } from './states.js';

/** A command and what came of it. */
export interface Call {
  readonly command: Command;
  /** The event that its share of the log comes to; 0 where none is asked for. */
  readonly seq: number;
  /** The last event that any client had been told of when it began. */
  readonly acknowledgedSeq: number;
  /** The last event that was queued when it ended. */
  readonly queuedSeq: number;
  /** The engine had been told to close by then. */
  readonly isClosing: boolean;
  readonly answer?: unknown;
  /** The code that it was refused with. */
  readonly refused?: string;
}

const REFUSED_BY_CLOSING = ['ENGINE_CLOSED', 'WAL_CLOSED'];
export const SEARCH_K = 3;
const COLLECTION_MISSING = 'COLLECTION_NOT_FOUND';

/** Checks every call, and adds the states that the writes among them made. @throws AssertionError that lists them all */
export function judge(calls: readonly Call[], states: States, headSeq: number): void {
  try {
    judgeAll(calls, states, headSeq);
  } catch (error) {
    if (error instanceof assert.AssertionError)
      error.message += `\nin the order in which they ended:\n${calls.map(show).join('\n')}`;
    throw error;
  }
}

function judgeAll(calls: readonly Call[], states: States, headSeq: number): void {
  const written = calls.filter(isWritten).sort((a, b) => receiptOf(a).seq - receiptOf(b).seq);
  for (const call of written) {
    const { seq, first_seq } = receiptOf(call);
    const before = states.last;
    // A mark does not say where its transaction begins: the author is declared before it, where that is new.
    if (first_seq !== undefined)
      assert.equal(first_seq, before.seq + 1, `${show(call)}: after ${before.seq}`);
    else assert.ok(seq - before.seq <= 2, `${show(call)}: after ${before.seq}`);
    states.add(stateAfter(before, call, states));
  }
  assert.equal(states.last.seq, headSeq, 'the log ends with the last acknowledged write');
  for (const call of calls) if (!isWritten(call)) judgeUnwritten(call, states);
}

const receiptOf = (call: Call) => call.answer as Receipt & Partial<WriteSpan>;

const isWritten = ({ command, answer }: Call): boolean =>
  answer !== undefined && (command.do === 'mark' || ((answer as Partial<WriteSpan>).first_seq ?? 0) > 0);

function judgeUnwritten(call: Call, states: States): void {
  const { command, refused, isClosing, acknowledgedSeq, queuedSeq, seq } = call;
  if (refused !== undefined && isClosing && REFUSED_BY_CLOSING.includes(refused)) return;
  const possible = states.between(acknowledgedSeq, queuedSeq);
  if ('asOf' in command) {
    const then = seq > 0 ? [states.endOf(seq)] : possible;
    if (refused !== undefined) {
      assert.equal(refused, COLLECTION_MISSING, show(call));
      assert.ok(
        then.some(state => !state.collections.has(command.collection)),
        `${show(call)}: it is there`,
      );
      return;
    }
    const moment = (call.answer as GetAnswer).moment.seq;
    const state = then.find(state => state.seq === moment);
    assert.ok(state, `${show(call)}: answers event ${moment}, not one of ${then.map(({ seq }) => seq)}`);
    judgeRead(state, call);
    return;
  }
  const explains = (state: State) => {
    try {
      return changesOf(state, call, states).size === 0;
    } catch (error) {
      if (error instanceof assert.AssertionError) return false;
      throw error;
    }
  };
  assert.ok(
    possible.some(explains),
    `${show(call)}: no state between ${acknowledgedSeq} and ${queuedSeq} explains it`,
  );
}

function stateAfter(before: State, call: Call, states: States): State {
  const { command } = call;
  const { seq } = receiptOf(call);
  if (command.do === 'revert') {
    const collections = new Map(before.collections);
    for (const name of before.collections.keys())
      collections.set(name, new Map(itemsOf(states.endOf(call.seq), name)));
    assert.ok(!isDeepStrictEqual(contentOf({ ...before, collections }), contentOf(before)), show(call));
    return { ...before, seq, collections };
  }
  if (command.do === 'mark') {
    assert.ok(!before.marks.has(command.name), `${show(call)}: it was set before`);
    return { ...before, seq, marks: new Set([...before.marks, command.name]) };
  }
  const changes = changesOf(before, call, states);
  return changed(before, seq, (command as { collection: string }).collection, changes);
}

/** What a call does to a state, by id. @throws AssertionError where it answers what that state does not explain */
function changesOf(state: State, call: Call, states: States): Map<string, Item | undefined> {
  const { command, refused } = call;
  const changes = new Map<string, Item | undefined>();
  const refusedAs = (code: string) => {
    assert.equal(refused, code, show(call));
    return changes;
  };
  switch (command.do) {
    case 'upsert':
    case 'remember':
    case 'create':
    case 'annotate': {
      const items = itemsOf(state, command.collection);
      if (command.do === 'create' && items.has(command.id)) return refusedAs('VERSION_CONFLICT');
      if (command.do === 'annotate' && !items.has(command.id)) return refusedAs('INVALID_ARGUMENT');
      assert.equal(refused, undefined, show(call));
      const answer = call.answer as UpsertAnswer;
      const wanted = command.do === 'upsert' ? command.items : [command];
      wanted.forEach((item, index) => {
        const { id, version, outcome } = answer.items[index]!;
        const text = 'text' in item ? item.text : items.get(id)!.text;
        const same = 'id' in item ? undefined : [...items].filter(([, other]) => other.text === text);
        if (same !== undefined && same.length > 0) {
          assert.ok(
            same.some(([sameId]) => sameId === id),
            `${show(call)}: ${id} has another text`,
          );
          assert.equal(outcome, 'unchanged', show(call));
          return;
        }
        const before = items.get(id);
        const metadata = merged(before?.metadata, 'metadata' in item ? item.metadata : undefined);
        const isSame = before?.text === text && isDeepStrictEqual(before.metadata, metadata);
        const right = before === undefined ? 'created' : isSame ? 'unchanged' : 'updated';
        assert.equal(outcome, right, `${show(call)}: ${id}`);
        if (right !== 'unchanged') changes.set(id, { text, metadata, version });
      });
      return changes;
    }
    case 'delete':
    case 'deleteWhere': {
      if (!state.collections.has(command.collection)) return refusedAs(COLLECTION_MISSING);
      assert.equal(refused, undefined, show(call));
      const items = itemsOf(state, command.collection);
      const { deleted } = call.answer as DeleteAnswer;
      const right =
        command.do === 'delete'
          ? command.ids.filter(id => items.has(id))
          : [...items]
              .filter(([, item]) => matches(parseWhere(command.where), item.metadata))
              .map(([id]) => id);
      assert.deepEqual([...deleted].sort(), right.sort(), show(call));
      for (const id of right) changes.set(id, undefined);
      return changes;
    }
    case 'mark':
      assert.ok(state.marks.has(command.name), show(call));
      return refusedAs('MARK_EXISTS');
    case 'revert':
      assert.deepEqual(contentOf(state), contentOf(states.endOf(call.seq)), show(call));
      if (refused !== undefined) return refusedAs('REVERT_EMPTY');
      return changes;
    default:
      throw new Error(`${command.do} changes nothing`);
  }
}

function judgeRead(state: State, call: Call): void {
  const { command } = call;
  if (command.do === 'get') {
    const { items, missing } = call.answer as GetAnswer;
    const there = itemsOf(state, command.collection);
    assert.deepEqual([...missing].sort(), IDS.filter(id => !there.has(id)).sort(), show(call));
    assertItems(items, new Map([...there].filter(([id]) => IDS.includes(id))), call);
  } else if (command.do === 'list') {
    const { items } = call.answer as ListAnswer;
    assertItems(items, itemsOf(state, command.collection), call);
    assert.ok(
      items.every(({ version }, at) => at === 0 || version < items[at - 1]!.version),
      show(call),
    );
  } else if (command.do === 'search') judgeSearch(state, command, call);
  else if (command.do === 'find') {
    const { results } = call.answer as SearchAnswer;
    const right = [...itemsOf(state, command.collection)].filter(([, { text }]) =>
      text.split(' ').includes(command.query),
    );
    assert.equal(results.length, Math.min(SEARCH_K, right.length), show(call));
    for (const { id, text } of results)
      assert.ok(
        right.some(([rightId, item]) => rightId === id && item.text === text),
        show(call),
      );
  }
}

function assertItems(found: readonly ItemView[], right: ReadonlyMap<string, Item>, call: Call): void {
  const contents = (all: Iterable<readonly [string, Pick<Item, 'text' | 'metadata'>]>) =>
    Object.fromEntries([...all].map(([id, { text, metadata }]) => [id, { text, metadata }]));
  assert.deepEqual(contents(found.map(item => [item.id, item] as const)), contents(right), show(call));
}

/** By meaning, against an exact scan: equal scores may stand in any order. */
function judgeSearch(
  state: State,
  { query, collection }: { query: string; collection: string },
  call: Call,
): void {
  const target = wordVector(query);
  const scores = new Map(
    [...itemsOf(state, collection)].map(([id, { text }]) => {
      const vector = wordVector(text);
      return [id, vector.reduce((sum, value, at) => sum + value * target[at]!, 0)] as const;
    }),
  );
  const best = [...scores.values()].sort((a, b) => b - a).slice(0, SEARCH_K);
  const { results } = call.answer as SearchAnswer;
  assert.equal(results.length, best.length, show(call));
  results.forEach(({ id, score, text }, rank) => {
    assert.ok(Math.abs(score - best[rank]!) < 1e-3, `${show(call)}: rank ${rank}`);
    assert.ok(Math.abs(score - scores.get(id)!) < 1e-3, `${show(call)}: ${id}`);
    assert.equal(text, itemsOf(state, collection).get(id)!.text, show(call));
  });
}

const show = ({ command, seq, answer, refused }: Call): string =>
  JSON.stringify({ command, ...(seq > 0 && { seq }), ...(refused ? { refused } : { answer }) }).slice(0, 900);
