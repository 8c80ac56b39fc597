import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig, VARIABLES } from '#src/config.js';
import type { CallContext, SearchAnswer, UpsertItem } from '#src/domain/face.js';
import { openEngine } from '#src/engine/open.js';
import { verifyStore } from '#src/engine/verify.js';
import { createLogger } from '#src/log.js';
import { PATHS } from '#wal/paths.js';
import { type Item, K, rowOf } from '../dataset.js';
import type { OpenOptions, System, SystemKind } from '../system.js';

export const COLLECTION = 'bench';

/** The setting that chooses the index engine, in builds that have one. */
const ENGINE_VARIABLE = 'VECTOR_INDEX';
const ENGINES = ['hnswlib', 'usearch'];

const context: CallContext = {
  actor: {
    clientName: 'bench',
    clientVersion: '1',
    session: 'bench',
    sessionSource: 'window',
    project: '',
    transport: 'library',
    tool: 'bench',
  },
};

/** This project, once for each index engine that the build has. */
export const ownKinds: readonly SystemKind[] = (VARIABLES as readonly { name: string }[]).some(
  ({ name }) => name === ENGINE_VARIABLE,
)
  ? ENGINES.map(engine => ownKind(`own-${engine}`, `ours, ${engine}`, { [ENGINE_VARIABLE]: engine }))
  : [ownKind('own', 'ours', {})];

function ownKind(name: string, title: string, env: Readonly<Record<string, string>>): SystemKind {
  return {
    name,
    title,
    role: 'own',
    note: 'the engine in process; every record that reaches the caller checked by its hash',
    env,
    open: options => openOwn(options, env),
    async verify({ dir }) {
      const { sound, findings } = await verifyStore(storeOf(dir));
      if (!sound) throw new Error(findings[0]?.message);
    },
    loseIndexes(dir) {
      for (const cache of [PATHS.checkpoints, PATHS.scratch])
        rmSync(join(storeOf(dir), cache), { recursive: true, force: true });
    },
  };
}

export const storeOf = (dir: string): string => join(dir, 'store');

async function openOwn({ dir }: OpenOptions, env: Readonly<Record<string, string>>): Promise<System> {
  const path = storeOf(dir);
  const config = readConfig({ ...env, VECTOR_DB_PATH: path, VECTOR_LOG_LEVEL: 'warn' });
  const engine = await openEngine({ path, config, logger: createLogger(config) });
  return {
    prepare: ({ id, text, lang, number, vector }: Item): UpsertItem => ({
      id,
      text,
      metadata: { lang, number },
      vector: Array.from(vector),
    }),
    async upsert(prepared) {
      await engine.upsert(
        { collection: COLLECTION, items: prepared as readonly UpsertItem[], allow_secrets: true },
        context,
      );
    },
    settle: () => engine.idle(),
    ready: () => engine.idle(),
    prepareQuery: query => Array.from(query),
    search: (query, below) =>
      engine.search(
        {
          vector: query as number[],
          collections: [COLLECTION],
          k: K,
          mode: 'semantic',
          ...(below !== undefined && { where: { number: { $lt: below } } }),
        },
        context,
      ),
    rowsOf: found => (found as SearchAnswer).results.map(({ id }) => rowOf(id)),
    close: () => engine.close(),
  };
}
