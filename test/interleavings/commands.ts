/** What clients ask for, at random. */
import fc from 'fast-check';
import type { Where } from '#src/domain/face.js';
import type { JsonValue } from '#src/domain/model.js';

export const COLLECTIONS = ['default', 'notes'] as const;
export const IDS = ['a', 'b', 'c', 'd', 'ü/é'];

const word = fc.constantFrom('tea', 'coffee', 'index', 'hash', 'server', 'zebra');
const text = fc.array(word, { minLength: 1, maxLength: 3 }).map(words => words.join(' '));
const id = fc.constantFrom(...IDS);
const ids = fc.uniqueArray(id, { minLength: 1, maxLength: 3 });
const metadata = fc.dictionary(
  fc.constantFrom('kind', 'year'),
  fc.oneof(
    fc.constantFrom('x', 'y'),
    fc.integer({ min: 1, max: 3 }),
    fc.constant(null),
    fc.constant<JsonValue>(['x', 2]),
  ),
  { maxKeys: 2 },
);
const where = fc.oneof(
  fc.record({ kind: fc.constantFrom('x', 'y') }),
  fc.record({ year: fc.record({ $gte: fc.integer({ min: 1, max: 3 }) }) }),
  fc.record({ kind: fc.record({ $ne: fc.constant('x') }) }),
) as fc.Arbitrary<Where>;
const collection = fc.constantFrom(...COLLECTIONS);
/** Of the log's length when it is asked. */
const share = fc.integer({ min: 0, max: 100 }).map(n => n / 100);
/** Undefined: now. */
const asOf = fc.option(share, { nil: undefined });
const items = fc.uniqueArray(fc.record({ id, text, metadata: fc.option(metadata, { nil: undefined }) }), {
  selector: item => item.id,
  minLength: 1,
  maxLength: 3,
});

const of = <T extends string>(name: T) => fc.constant(name);
export const command = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: of('upsert'), collection, items }) },
  { weight: 3, arbitrary: fc.record({ do: of('remember'), collection, text }) },
  { weight: 2, arbitrary: fc.record({ do: of('create'), collection, id, text }) },
  { weight: 2, arbitrary: fc.record({ do: of('annotate'), collection, id, metadata }) },
  { weight: 4, arbitrary: fc.record({ do: of('delete'), collection, ids }) },
  { weight: 2, arbitrary: fc.record({ do: of('deleteWhere'), collection, where }) },
  { weight: 1, arbitrary: fc.record({ do: of('mark'), name: fc.constantFrom('m1', 'm2', 'm3') }) },
  { weight: 2, arbitrary: fc.record({ do: of('revert'), share }) },
  { weight: 3, arbitrary: fc.record({ do: of('get'), collection, asOf }) },
  { weight: 3, arbitrary: fc.record({ do: of('list'), collection, asOf }) },
  { weight: 3, arbitrary: fc.record({ do: of('search'), collection, query: text, asOf }) },
  { weight: 2, arbitrary: fc.record({ do: of('find'), collection, query: word, asOf }) },
  { weight: 1, arbitrary: fc.record({ do: of('crash') }) },
);
export type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** What ends a round, before the store is opened again. */
const ending = fc.oneof(
  { weight: 6, arbitrary: of('crash') },
  { weight: 1, arbitrary: of('close') },
  { weight: 1, arbitrary: of('backup') },
);

/** Clients that ask at the same time, each one thing after the other; the end comes when it is scheduled. */
const round = fc.record({
  clients: fc.array(fc.array(command, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 4 }),
  ending,
});
export type Round = typeof round extends fc.Arbitrary<infer T> ? T : never;
export const history = fc.array(round, { minLength: 1, maxLength: 3 });

export const commandsOf = (rounds: readonly Round[]): number =>
  rounds.reduce((sum, { clients }) => sum + 1 + clients.reduce((n, list) => n + list.length, 0), 0);
