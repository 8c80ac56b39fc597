/** The fields that the JSON of each event has, as docs/events.md lists them: whoever applies an event relies on them. */
import type { DomainEvent } from '../domain/model.js';

type Kind = 'string' | 'number' | 'array' | 'object';
type KindOf<T> = T extends string
  ? 'string'
  : T extends number
    ? 'number'
    : T extends readonly unknown[]
      ? 'array'
      : 'object';
/** Vectors follow the JSON, and the type stands in the record's header. */
type FieldsOf<E> = { readonly [F in Exclude<keyof E, 'type' | 'vectors' | 'erased'>]: KindOf<E[F]> };

const FIELDS: { readonly [T in DomainEvent['type']]: FieldsOf<Extract<DomainEvent, { type: T }>> } = {
  actor_declared: {
    clientName: 'string',
    clientVersion: 'string',
    session: 'string',
    sessionSource: 'string',
    project: 'string',
    transport: 'string',
    tool: 'string',
  },
  collection_created: { id: 'number', name: 'string', space: 'object', metric: 'string' },
  space_switched: { collection: 'number', space: 'string' },
  space_begun: { collection: 'number', space: 'object' },
  space_abandoned: { collection: 'number', space: 'string' },
  item_put: {
    collection: 'number',
    id: 'string',
    text: 'string',
    metadata: 'object',
    origin: 'string',
    space: 'string',
    passages: 'array',
  },
  item_deleted: { collection: 'number', id: 'string' },
  item_restored: { collection: 'number', id: 'string', from: 'number' },
  vectors_added: {
    collection: 'number',
    id: 'string',
    version: 'number',
    space: 'string',
    passages: 'array',
  },
  mark_set: { name: 'string', note: 'string' },
  history_erased: { through: 'number' },
  item_redacted: { collection: 'number', id: 'string', reason: 'string' },
  erasure_finished: { of: 'number' },
};
const LISTS = new Map(
  Object.entries(FIELDS).map(([type, fields]) => [
    type as DomainEvent['type'],
    Object.entries(fields) as [field: string, kind: Kind][],
  ]),
);

/** @param event what stands in the JSON of an event of this type @throws TypeError naming the first field that is not as it should be */
export function assertFields(type: DomainEvent['type'], event: Readonly<Record<string, unknown>>): void {
  for (const [field, kind] of LISTS.get(type)!) {
    const value = event[field];
    const isThere =
      kind === 'array'
        ? Array.isArray(value)
        : kind === 'object'
          ? typeof value === 'object' && value !== null && !Array.isArray(value)
          : typeof value === kind;
    if (!isThere) throw new TypeError(`its field "${field}" is no ${kind}`);
  }
}
