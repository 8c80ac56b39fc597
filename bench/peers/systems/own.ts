import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '#src/config.js';
import type { SearchAnswer, UpsertItem } from '#src/domain/face.js';
import { openEngine } from '#src/engine/open.js';
import { verifyStore } from '#src/engine/verify.js';
import { createLogger } from '#src/log.js';
import { PATHS } from '#wal/paths.js';
import { benchContext } from '../../data.js';
import { type Item, K, rowOf } from '../dataset.js';
import type { OpenOptions, System, SystemKind } from '../system.js';

export const COLLECTION = 'bench';

const ENGINE_VARIABLE = 'VECTOR_INDEX';
const ENGINES = ['hnswlib', 'usearch'];

/** This project, once for each index engine. */
export const ownKinds: readonly SystemKind[] = ENGINES.map(engine =>
  ownKind(`own-${engine}`, `ours, ${engine}`, { [ENGINE_VARIABLE]: engine }),
);

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
        benchContext,
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
        benchContext,
      ),
    rowsOf: found => (found as SearchAnswer).results.map(({ id }) => rowOf(id)),
    close: () => engine.close(),
  };
}
