// The engine's face over a Map: enough to prove what the MCP surface does with commands, answers, progress and
// cancellation, and plain JavaScript so that the child process of the stdio tests can load it too.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '#src/domain/errors.js';

/** @returns {import('#src/domain/face.js').Engine} */
export function mapEngine() {
  const collections = new Map();
  let seq = 0;
  const hash = () => createHash('sha256').update(String(seq)).digest('hex').slice(0, 16);
  const time = () => new Date(1_760_000_000_000 + seq * 1000).toISOString();
  const moment = () => ({ seq, time: time() });
  const open = name => collections.get(name) ?? collections.set(name, new Map()).get(name);

  const put = (collection, id, fields, actor) => {
    seq++;
    const item = { id, collection, version: seq, updated_at: time(), actor, ...fields };
    open(collection).set(id, item);
    return item;
  };

  const engine = {
    async upsert({ collection, items, origin = 'agent' }, { actor }) {
      const before = seq;
      const answers = items.map(({ id = `item-${seq + 1}`, text, metadata = {}, if_version }) => {
        const old = open(collection).get(id);
        if (if_version !== undefined && if_version !== (old?.version ?? 0)) {
          throw new CodedError('VERSION_CONFLICT', `${id} has another version`, 'Read it again.', {
            details: { current: old?.version ?? 0 },
          });
        }
        if (old !== undefined && old.text === text) return { id, version: old.version, outcome: 'unchanged' };
        const fields = { text: text ?? old?.text ?? '', metadata: { ...old?.metadata, ...metadata }, origin };
        const { version } = put(collection, id, fields, actor);
        const similar = [...open(collection).values()]
          .filter(other => other.id !== id && other.text.slice(0, 20) === fields.text.slice(0, 20))
          .map(other => ({ id: other.id, score: 0.97, preview: other.text.slice(0, 80) }));
        const outcome = old === undefined ? 'created' : 'updated';
        return { id, version, outcome, ...(outcome === 'created' && similar.length > 0 ? { similar } : {}) };
      });
      return { seq, hash: hash(), items: answers, first_seq: seq === before ? 0 : before + 1 };
    },

    async delete({ collection, ids, where, dry_run = false }) {
      const before = seq;
      const items = open(collection);
      const wanted = ids ?? [...items.values()].filter(matches(where)).map(item => item.id);
      const deleted = wanted.filter(id => items.has(id));
      if (!dry_run) {
        for (const id of deleted) items.delete(id);
        seq += deleted.length;
      }
      return {
        seq,
        hash: hash(),
        deleted,
        missing: wanted.filter(id => !deleted.includes(id)),
        dry_run,
        first_seq: seq === before ? 0 : before + 1,
      };
    },

    async search({ query = '', collections: names = [...collections.keys()], k, where, context }) {
      const words = query.toLowerCase().split(/\W+/).filter(Boolean);
      const results = names
        .flatMap(name => [...open(name).values()])
        .filter(matches(where))
        .map(item => {
          const at = words.map(word => item.text.toLowerCase().indexOf(word)).filter(i => i >= 0);
          const start = Math.min(...at, item.text.length);
          return {
            ...item,
            score: at.length / words.length,
            passage: { start, end: Math.min(start + 400, item.text.length) },
          };
        })
        .filter(hit => hit.score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, k)
        .map(hit => (context > 0 ? { ...hit, context: [{ id: `${hit.id}-next`, text: hit.text }] } : hit));
      return {
        results,
        moment: moment(),
        ...(results.length === 0 ? { hint: 'Nothing is stored under these words.' } : {}),
      };
    },

    async get({ collection, ids }) {
      const items = open(collection);
      return {
        items: ids.filter(id => items.has(id)).map(id => items.get(id)),
        missing: ids.filter(id => !items.has(id)),
        moment: moment(),
      };
    },

    async list({ collection, where, limit, cursor }) {
      const below = cursor === undefined ? Number.POSITIVE_INFINITY : Number(cursor);
      const all = [...open(collection).values()]
        .filter(matches(where))
        .filter(item => item.version < below)
        .sort((a, b) => b.version - a.version);
      const items = all.slice(0, limit);
      return {
        items,
        cursors: items.map(item => String(item.version)),
        more: all.length > limit,
        moment: moment(),
      };
    },

    async ingest({ paths, collection, roots }, { actor, signal, onProgress }) {
      if (roots.length === 0)
        throw new CodedError('ROOTS_UNSET', 'no directory may be read', 'Set VECTOR_ROOTS.');
      const files = paths.map(path => resolve(roots[0], path)).flatMap(filesBelow);
      const first_seq = seq + 1;
      for (const [i, file] of files.entries()) {
        await sleep(1);
        if (signal?.aborted) throw new CodedError('CANCELLED', 'the call was cancelled', 'Call again.');
        put(
          collection,
          file,
          { text: readFileSync(file, 'utf8'), metadata: { path: file }, origin: 'file' },
          actor,
        );
        onProgress?.({ done: i + 1, total: files.length, message: file });
      }
      const chunks = { added: files.length, updated: 0, unchanged: 0, removed: 0 };
      return {
        done: true,
        files: files.length,
        remaining: 0,
        chunks,
        skipped: [],
        seq,
        hash: hash(),
        first_seq,
      };
    },

    async status() {
      return {
        version: '0.0.0-test',
        store: { path: '/nowhere', id: 'map', epoch: 1, durability: 'interval', state: 'ok' },
        head: { seq, hash: hash(), time: time() },
        collections: [...collections].map(([name, items]) => ({
          name,
          items: items.size,
          passages: items.size,
          space: {
            id: 'given/3',
            provider: 'given',
            model: '',
            dimension: 3,
            weightsDigest: '',
            preprocessingDigest: '',
          },
          metric: 'cosine',
          index: { kind: 'scan', indexed: 0, pending: 0, dead: 0 },
        })),
        checkpoint: { seq: 0, age_events: seq, warnings: [] },
        embedder: { space: 'none', state: 'none' },
        memory: { rss_bytes: 1, heap_bytes: 1, vectors_bytes: 0 },
        disk: { store_bytes: 0, free_bytes: 1 },
      };
    },

    async close() {},
  };
  return engine;
}

const matches =
  (where = {}) =>
  item =>
    Object.entries(where).every(([key, value]) => item.metadata[key] === value);

function filesBelow(path) {
  return statSync(path).isDirectory()
    ? readdirSync(path).flatMap(name => filesBelow(join(path, name)))
    : [path];
}
