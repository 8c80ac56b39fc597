/** A small store with something of everything: tables and a log, updates, deletes, two collections, two checkpoints. */
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { UpsertItem } from '#src/domain/face.js';
import type { OpenEngineOptions } from '#src/engine/open.js';
import { PATHS } from '#wal/paths.js';
import { seeded } from '../helpers/damage.js';
import { openTestEngine, TEST_CONFIG, testContext } from '../helpers/engine.js';
import { WORDS } from '../helpers/words.js';

export const NOTES = 'notes';
export const GIVEN = 'given';
export const GIVEN_DIMENSION = 8;

export interface StoreShape {
  readonly name: string;
  /** Sessions: each is opened, written to and closed; LevelDB turns the log of one into a table at the next. */
  readonly sessions: number;
  readonly itemsPerSession: number;
  readonly graphThresholdRows?: number;
  /**
   * As after kill -9 in the middle of the last session: not closed, and without checkpoints, so that every event is replayed. HEAD is
   * written before each acknowledgement then; where it follows within a second, what the log lost of that second cannot be seen.
   */
  readonly isCrashed?: boolean;
}

/** Ids per collection, those that were deleted and one that never was included. */
export type Ids = Readonly<Record<string, readonly string[]>>;

export const openDamageEngine = (path: string, shape: Pick<StoreShape, 'graphThresholdRows'>) => {
  const { graphThresholdRows } = shape;
  const options: Partial<OpenEngineOptions> = graphThresholdRows === undefined ? {} : { graphThresholdRows };
  return openTestEngine(path, { create: false, ...options });
};

/**
 * Makes the store; the same seed makes the same content.
 * @param states a directory for the states that the store had after its earlier sessions, each in one of its own
 */
export async function makeStore(path: string, states: string, shape: StoreShape, seed: number): Promise<Ids> {
  const random = seeded(seed);
  const pick = (below: number) => Math.floor(random() * below);
  const text = () => {
    const paragraph = () => Array.from({ length: 6 + pick(20) }, () => WORDS[pick(WORDS.length)]!).join(' ');
    return pick(3) === 0 ? `${paragraph()}\n\n${paragraph()}` : paragraph();
  };
  const vector = () => Array.from({ length: GIVEN_DIMENSION }, () => random() * 2 - 1);
  const note = (id: string): UpsertItem => ({
    id,
    text: text(),
    metadata: { kind: `k${pick(3)}`, year: 2000 + pick(9) },
  });
  const given = (id: string): UpsertItem => ({
    id,
    text: text(),
    vector: vector(),
    metadata: { tags: ['a', pick(4)] },
  });
  const ids: Record<string, string[]> = { [NOTES]: [], [GIVEN]: [] };
  mkdirSync(states);
  for (let session = 0; session < shape.sessions; session++) {
    const engine = await openTestEngine(path, {
      config: { ...TEST_CONFIG, durability: shape.isCrashed ? 'strict' : 'interval' },
      ...(shape.graphThresholdRows === undefined ? {} : { graphThresholdRows: shape.graphThresholdRows }),
    });
    const upsert = (collection: string, items: readonly UpsertItem[]) =>
      engine.upsert({ collection, items }, testContext);
    for (let at = 0; at < shape.itemsPerSession; at++) {
      const collection = at % 2 === 1 ? GIVEN : NOTES;
      const id = `${collection[0]}${session}-${at}`;
      ids[collection]!.push(id);
      await upsert(collection, [collection === GIVEN ? given(id) : note(id)]);
    }
    const older = (collection: string) => ids[collection]![pick(ids[collection]!.length)]!;
    await upsert(NOTES, [...new Set([older(NOTES), older(NOTES), older(NOTES)])].map(note));
    await upsert(GIVEN, [given(older(GIVEN))]);
    await engine.delete({ collection: NOTES, ids: [older(NOTES), older(NOTES)] }, testContext);
    await engine.delete({ collection: GIVEN, ids: [older(GIVEN)] }, testContext);
    await engine.idle();
    const isLast = session === shape.sessions - 1;
    const isCut = shape.isCrashed === true && isLast;
    if (isCut) cpSync(path, `${path}-cut`, { recursive: true });
    await engine.close();
    if (!isLast) cpSync(path, join(states, `session-${session}`), { recursive: true });
    if (isCut) {
      rmSync(path, { recursive: true });
      rmSync(join(`${path}-cut`, PATHS.checkpoints), { recursive: true });
      renameSync(`${path}-cut`, path);
    }
  }
  for (const list of Object.values(ids)) list.push('never-there');
  return ids;
}
