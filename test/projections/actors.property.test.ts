/** Who has written, against a plain list. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Actor } from '#src/domain/model.js';
import { Actors } from '#src/projections/actors.js';
import { ByteReader, ByteWriter } from '#src/projections/bytes.js';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 200);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

// Few texts for each field, the same in several of them: so actors come twice, and differ in one field alone.
const text = fc.constantFrom('', 'claude-code', 'Cursor', '2.0', 's1', 's2', '/home/ä/語', 'vector_upsert');
const actor: fc.Arbitrary<Actor> = fc.record({
  clientName: text,
  clientVersion: text,
  session: fc.oneof(text, fc.uuid()),
  sessionSource: text,
  project: text,
  transport: fc.constantFrom('stdio', 'http', 'cli', 'library'),
  tool: text,
});

const saved = (actors: Actors): Uint8Array => {
  const writer = new ByteWriter();
  actors.write(writer);
  return writer.finish();
};

function loaded(bytes: Uint8Array): Actors {
  const reader = new ByteReader(bytes, 'actors');
  const actors = new Actors();
  actors.read(reader);
  reader.expectEnd();
  return actors;
}

interface Declared {
  readonly seq: number;
  readonly actor: Actor;
}

function expectSame(actors: Actors, list: readonly Declared[], unknown: Actor): void {
  const same = (one: Actor) => list.filter(({ actor }) => JSON.stringify(actor) === JSON.stringify(one));
  for (const { seq, actor } of list) {
    expect(actors.get(seq)).toEqual(actor);
    expect(same(actor).map(each => each.seq)).toContain(actors.seqOf(actor));
  }
  if (same(unknown).length === 0) expect(actors.seqOf(unknown)).toBe(0);
  for (const seq of [0, (list.at(-1)?.seq ?? 0) + 1]) expect(actors.get(seq)).toBeUndefined();
  const seqsWhere = (isMeant: (actor: Actor) => boolean) =>
    new Set(list.filter(({ actor }) => isMeant(actor)).map(({ seq }) => seq));
  const { session, project } = unknown;
  const isClient = (name: string) => name.includes('C');
  expect(actors.seqsOf({})).toEqual(seqsWhere(() => true));
  expect(actors.seqsOf({ session })).toEqual(seqsWhere(one => one.session === session));
  expect(actors.seqsOf({ session, project, isClient })).toEqual(
    seqsWhere(one => one.session === session && one.project === project && isClient(one.clientName)),
  );
}

describe('actors', () => {
  test(`are those of a list, also once saved, loaded and added to, over ${RUNS} lists (seed ${SEED})`, () => {
    const list = fc.array(fc.tuple(actor, fc.integer({ min: 1, max: 2 ** 33 })), { maxLength: 60 });
    fc.assert(
      fc.property(list, list, actor, (some, more, unknown) => {
        const declared: Declared[] = [];
        const declare = (actors: Actors, those: typeof some) => {
          for (const [each, step] of those) {
            const seq = (declared.at(-1)?.seq ?? 0) + step;
            actors.declare(seq, each);
            declared.push({ seq, actor: each });
          }
        };
        const actors = new Actors();
        declare(actors, some);
        expectSame(actors, declared, unknown);
        const again = loaded(saved(actors));
        expectSame(again, declared, unknown);
        declare(again, more);
        expectSame(again, declared, unknown);
      }),
      { numRuns: RUNS, seed: SEED },
    );
  });

  test('damaged bytes are refused, or are read as other actors', () => {
    const actors = new Actors();
    const one: Actor = {
      clientName: 'claude-code',
      clientVersion: '2.0',
      session: 's1',
      sessionSource: 'window',
      project: '/home/me',
      transport: 'stdio',
      tool: 'vector_upsert',
    };
    actors.declare(7, one);
    actors.declare(9, { ...one, tool: 'vector_delete' });
    const bytes = saved(actors);
    const refusal = expect.objectContaining({ code: 'PROJECTION_FAILED' });
    for (let length = 0; length < bytes.length; length++)
      expect(() => loaded(bytes.slice(0, length))).toThrow(refusal);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at]! ^= 0xff;
      try {
        const read = loaded(damaged);
        for (const seq of read.seqsOf({})) if (seq > 0) read.get(seq);
        read.seqOf(one);
      } catch (error) {
        expect(error).toEqual(refusal);
      }
    }
  });
});
