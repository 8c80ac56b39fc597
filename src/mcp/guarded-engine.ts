import { type Access, mayWrite, type Right } from '../domain/access.js';
import { CodedError } from '../domain/errors.js';
import type { Engine } from '../domain/face.js';

/**
 * The engine as clients of a server with these rights have it: every tool, resource, prompt and subscription goes through here, so
 * that none can forget them. A collection that is not named does not exist for them; what may only be read is refused to writers.
 * What is for the operator of a store (backups, horizon, verification, figures, export, import, schedules, another model) is refused altogether.
 * @throws CodedError from its methods: READ_ONLY, ACCESS_DENIED, COLLECTION_NOT_FOUND
 */
export function guardedEngine(engine: Engine, access: Access): Engine {
  const { readOnly, collections } = access;
  if (!readOnly && collections === undefined) return engine;
  const visible = collections && [...collections.keys()];
  const writable = collections && visible!.filter(name => collections.get(name) === 'rw');

  const scoped = <T extends object>(query: T): T =>
    visible === undefined ? query : { ...query, within: visible };
  const assertWritable = (collection: string) => {
    if (readOnly) throw nothingWritten();
    const right = collections === undefined ? 'rw' : collections.get(collection);
    if (right === undefined) throw notThere(collection, collections!);
    if (right === 'r') throw onlyRead(collection, writable!);
  };
  const refused = (method: string) => async (): Promise<never> => {
    throw new CodedError(
      'ACCESS_DENIED',
      `${method}: it is not for the clients of a server with limited rights`,
      'Use the command of that name at a terminal.',
    );
  };

  return {
    search: (query, context) => engine.search(scoped(query), context),
    get: (query, context) => engine.get(scoped(query), context),
    list: (query, context) => engine.list(scoped(query), context),
    status: (query, context) => engine.status(scoped(query), context),
    activity: (query, context) => engine.activity(scoped(query), context),
    history: (query, context) => engine.history(scoped(query), context),
    diff: (query, context) => engine.diff(scoped(query), context),
    watch: (query, context) => engine.watch(scoped(query), context),
    complete: (query, context) => engine.complete(scoped(query), context),
    upsert: async (command, context) => {
      assertWritable(command.collection);
      return engine.upsert(command, context);
    },
    delete: async (command, context) => {
      assertWritable(command.collection);
      return engine.delete(scoped(command), context);
    },
    ingest: async (command, context) => {
      assertWritable(command.collection);
      return engine.ingest(command, context);
    },
    mark: async (command, context) => {
      if (!mayWrite(access)) throw nothingWritten();
      return engine.mark(command, context);
    },
    revert: async (command, context) => {
      if (!mayWrite(access)) throw nothingWritten();
      if (command.collection !== undefined) assertWritable(command.collection);
      // What may only be read is left as it is, whatever else is taken back.
      return engine.revert(writable === undefined ? command : { ...command, within: writable }, context);
    },
    reembed: refused('reembed'),
    backup: refused('backup'),
    horizon: refused('horizon'),
    verify: refused('verify'),
    tally: refused('tally'),
    optimize: refused('optimize'),
    profileCpu: refused('profileCpu'),
    export: refused('export'),
    import: refused('import'),
    schedule: refused('schedule'),
    growth: refused('growth'),
    health: refused('health'),
    samples: refused('samples'),
    capacity: refused('capacity'),
    testAlert: refused('testAlert'),
    close: () => engine.close(),
  };
}

/** What a client of a server that only reads is told. */
export function nothingWritten(): CodedError {
  return new CodedError(
    'READ_ONLY',
    'this server only reads; nothing was changed',
    'Start it without VECTOR_READ_ONLY and --read-only, and with a collection to write in VECTOR_COLLECTIONS if that is set.',
  );
}

function onlyRead(collection: string, writable: readonly string[]): CodedError {
  const others = writable.map(name => JSON.stringify(name)).join(', ');
  return new CodedError(
    'READ_ONLY',
    `the collection ${JSON.stringify(collection)} may only be read here; nothing was changed`,
    others === '' ? 'VECTOR_COLLECTIONS says so.' : `Write to ${others}, as VECTOR_COLLECTIONS says.`,
  );
}

/** As the engine says it of a collection that nobody has made. */
function notThere(collection: string, collections: ReadonlyMap<string, Right>): CodedError {
  const names = [...collections.keys()].map(name => JSON.stringify(name)).join(', ');
  return new CodedError(
    'COLLECTION_NOT_FOUND',
    `there is no collection ${JSON.stringify(collection)}`,
    `This server has ${names}.`,
  );
}
