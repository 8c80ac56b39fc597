// The engine's face over a Map: enough to prove what the MCP surface does with commands, answers, progress and
// cancellation, and plain JavaScript so that the child process of the stdio tests can load it too.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '#src/domain/errors.js';
import { MapLog, timeOf } from './map-log.mjs';
import { diff, history, itemsOf, revert } from './map-travel.mjs';

/** @returns {import('#src/domain/face.js').Engine} */
export function mapEngine() {
  const log = new MapLog();
  const hash = () => createHash('sha256').update(String(log.seq)).digest('hex').slice(0, 16);
  const receipt = () => ({ seq: log.seq, hash: hash() });
  const at = as_of => (as_of === undefined ? { seq: log.seq, time: timeOf(log.seq) } : log.resolve(as_of));
  const open = (collection, seq = log.seq) => log.stateAt(seq).get(collection) ?? new Map();
  const existing = (collection, seq = log.seq) => {
    if (log.seq === 0 || log.stateAt(seq).has(collection)) return open(collection, seq);
    throw new CodedError('COLLECTION_NOT_FOUND', `there is no collection "${collection}"`, 'Name another.');
  };

  const engine = {
    async upsert({ collection, items, origin = 'agent' }, { actor }) {
      const changes = [];
      const answers = items.map(({ id, text, metadata = {}, if_version }) => {
        const seq = log.seq + changes.length + 1;
        const name = id ?? `item-${seq}`;
        const old = open(collection).get(name);
        if (if_version !== undefined && if_version !== (old?.version ?? 0)) {
          throw new CodedError('VERSION_CONFLICT', `${name} has another version`, 'Read it again.', {
            details: { current: old?.version ?? 0 },
          });
        }
        if (old !== undefined && old.text === text)
          return { id: name, version: old.version, outcome: 'unchanged' };
        const item = { text: text ?? old?.text ?? '', metadata: { ...old?.metadata, ...metadata }, origin };
        const similar = [...open(collection).values()]
          .filter(other => other.id !== name && other.text.slice(0, 20) === item.text.slice(0, 20))
          .map(other => ({ id: other.id, score: 0.97, preview: other.text.slice(0, 80) }));
        const outcome = old === undefined ? 'created' : 'updated';
        changes.push({ type: outcome, collection, id: name, item });
        return {
          id: name,
          version: seq,
          outcome,
          ...(outcome === 'created' && similar.length > 0 ? { similar } : {}),
        };
      });
      const first_seq = log.append(changes, actor);
      return { ...receipt(), items: answers, first_seq };
    },

    async delete({ collection, ids, where, dry_run = false }, { actor }) {
      const items = open(collection);
      const wanted = ids ?? [...items.values()].filter(matches(where)).map(item => item.id);
      const deleted = wanted.filter(id => items.has(id));
      const changes = deleted.map(id => ({ type: 'deleted', collection, id }));
      const first_seq = log.append(dry_run ? [] : changes, actor);
      const missing = wanted.filter(id => !deleted.includes(id));
      return { ...receipt(), deleted, missing, dry_run, first_seq };
    },

    async search({ query = '', collections, k, where, context, as_of }) {
      const moment = at(as_of);
      const words = query.toLowerCase().split(/\W+/).filter(Boolean);
      const results = itemsOf(log.stateAt(moment.seq), collections)
        .filter(matches(where))
        .map(item => {
          const found = words.map(word => item.text.toLowerCase().indexOf(word)).filter(i => i >= 0);
          const start = Math.min(...found, item.text.length);
          return {
            ...item,
            score: found.length / words.length,
            passage: { start, end: Math.min(start + 400, item.text.length) },
          };
        })
        .filter(hit => hit.score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, k)
        .map(hit => (context > 0 ? { ...hit, context: [{ id: `${hit.id}-next`, text: hit.text }] } : hit));
      return {
        results,
        moment,
        ...(results.length === 0 ? { hint: 'Nothing is stored under these words.' } : {}),
      };
    },

    async get({ collection, ids, as_of }) {
      const moment = at(as_of);
      const items = existing(collection, moment.seq);
      return {
        items: ids.filter(id => items.has(id)).map(id => items.get(id)),
        missing: ids.filter(id => !items.has(id)),
        moment,
      };
    },

    async list({ collection, where, limit, cursor, as_of }) {
      const moment = at(as_of);
      const below = cursor === undefined ? Number.POSITIVE_INFINITY : Number(cursor);
      const all = [...existing(collection, moment.seq).values()]
        .filter(matches(where))
        .filter(item => item.version < below)
        .sort((a, b) => b.version - a.version);
      const items = all.slice(0, limit);
      return { items, cursors: items.map(item => String(item.version)), more: all.length > limit, moment };
    },

    async ingest({ paths, collection, roots }, { actor, signal, onProgress }) {
      if (roots.length === 0)
        throw new CodedError('ROOTS_UNSET', 'no directory may be read', 'Set VECTOR_ROOTS.');
      const files = paths.map(path => resolve(roots[0], path)).flatMap(filesBelow);
      const first_seq = log.seq + 1;
      for (const [i, file] of files.entries()) {
        await sleep(1);
        if (signal?.aborted) throw new CodedError('CANCELLED', 'the call was cancelled', 'Call again.');
        const item = { text: readFileSync(file, 'utf8'), metadata: { path: file }, origin: 'file' };
        log.append([{ type: 'created', collection, id: file, item }], actor);
        onProgress?.({ done: i + 1, total: files.length, message: file });
      }
      const chunks = { added: files.length, updated: 0, unchanged: 0, removed: 0 };
      return {
        done: true,
        files: files.length,
        remaining: 0,
        chunks,
        skipped: [],
        ...receipt(),
        first_seq,
      };
    },

    async mark({ name, note = '' }, { actor }) {
      if (log.changes.some(({ mark }) => mark?.name === name))
        throw new CodedError('MARK_EXISTS', `there is a mark "${name}" already`, 'Choose another name.');
      log.append([{ type: 'marked', mark: { name, note } }], actor);
      return { ...receipt(), name, moment: at() };
    },

    history: async (query, context) => history(log, query, context),
    diff: async query => diff(log, query),
    revert: async (command, context) => revert(log, command, context, hash),

    async status({ as_of }) {
      const moment = at(as_of);
      return {
        version: '0.0.0-test',
        store: { path: '/nowhere', id: 'map', epoch: 1, durability: 'interval', state: 'ok' },
        head: { ...moment, hash: hash() },
        marks: log.changes
          .filter(({ mark, seq }) => mark && seq <= moment.seq)
          .map(({ mark, seq }) => ({ ...mark, seq, time: timeOf(seq) }))
          .reverse(),
        collections: [...log.stateAt(moment.seq)].map(([name, items]) => ({
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
        checkpoint: { seq: 0, age_events: log.seq, warnings: [] },
        embedder: { space: 'none', state: 'none' },
        memory: { rss_bytes: 1, heap_bytes: 1, vectors_bytes: 0, tables_bytes: 0, caches_bytes: 0 },
        verification: { schedule: 'off', is_running: false, findings: [] },
        disk: { store_bytes: 0, free_bytes: 1 },
      };
    },

    async watch({ after = log.seq, wait_ms = 0 }, { signal }) {
      for (let waitedMs = 0; log.seq === after && waitedMs < wait_ms; waitedMs += 10) {
        await sleep(10);
        if (signal?.aborted) throw new CodedError('CANCELLED', 'the call was cancelled', 'Call again.');
      }
      const changed = log.changes
        .filter(({ seq, collection }) => seq > after && collection !== undefined)
        .map(({ seq, collection, id }) => ({ collection, id, seq }));
      return { head: log.seq, epoch: 1, changed, more: false };
    },

    async complete({ of, prefix, collection }) {
      const names = {
        collections: () => [...log.stateAt(log.seq).keys()],
        ids: () => [...existing(collection).keys()],
        marks: () => log.changes.flatMap(({ mark }) => mark?.name ?? []),
        metadata_keys: () => itemsOf(log.stateAt(log.seq)).flatMap(({ metadata }) => Object.keys(metadata)),
      };
      const values = [...new Set(names[of]())].filter(name => name.startsWith(prefix));
      return { values, more: false };
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
