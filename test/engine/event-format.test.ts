/**
 * docs/events.md shows what the code writes, and names every type by its number.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { DomainEvent } from '#src/domain/model.js';
import { givenSpace } from '#src/domain/space.js';
import { decodeEvent, encodeEvent, eventOf, eventToAppend } from '#src/engine/event-codec.js';
import { decodeRecord, encodeRecord, RecordType } from '#wal/record.js';

const document = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8');

const events: DomainEvent[] = [
  {
    ...{ type: 'actor_declared', clientName: 'c', clientVersion: '1', session: 's', sessionSource: 'window' },
    ...{ project: '', transport: 'stdio', tool: 'vector_upsert' },
  } as DomainEvent,
  { type: 'collection_created', id: 1, name: 'default', space: givenSpace(2), metric: 'cosine' },
  {
    ...{
      type: 'item_put',
      collection: 1,
      id: 'ä',
      text: 'naïve 🙂',
      metadata: { n: [1, null] },
      origin: 'agent',
    },
    ...{ space: 'given/2', passages: [[0, 8]], vectors: Float32Array.of(0.5, -1) },
  } as DomainEvent,
  { type: 'item_deleted', collection: 1, id: 'note-1' },
];

function bodyOf(json: object): Buffer {
  const text = Buffer.from(JSON.stringify(json));
  const body = Buffer.alloc(4 + text.length);
  body.writeUInt32LE(text.length);
  text.copy(body, 4);
  return body;
}

describe.each(events.map(event => [event.type, event] as const))('%s', (name, event) => {
  test('has the number of the document, and its fields', () => {
    const { type } = encodeEvent(event);
    const row = document.split('\n').find(line => line.startsWith(`| ${type} | \`${name}\` |`));
    expect(row).toBeDefined();
    const stored = Object.keys(event).filter(field => field !== 'type' && field !== 'vectors');
    for (const field of stored) expect(row).toContain(`\`${field}\``);
  });

  test('comes back as it went in, wherever it lies in a buffer', () => {
    const { type, body } = encodeEvent(event);
    for (const offset of [0, 1, 2, 3]) {
      const shifted = Buffer.concat([Buffer.alloc(offset), body]).subarray(offset);
      expect(decodeEvent(type, shifted, 1)).toEqual(event);
    }
  });
});

test.each(events.map(event => [event.type, event] as const))(
  '%s without one of its fields, or with another kind of it, cannot be read, and the error names the field',
  (_, event) => {
    const { type: __, vectors: ___, ...fields } = event as DomainEvent & { vectors?: Float32Array };
    const { type } = encodeEvent(event);
    for (const field of Object.keys(fields))
      for (const instead of [undefined, null, true])
        expect(() => decodeEvent(type, bodyOf({ ...fields, [field]: instead }), 7)).toThrow(
          `event 7 is intact but cannot be read: its field "${field}" is no `,
        );
  },
);

test.each(events.map(event => [event.type, event] as const))(
  '%s is written in place as it is by itself',
  (_, event) => {
    const { type, ...fields } = event as DomainEvent & { vectors?: Float32Array };
    const json = JSON.stringify({ ...fields, vectors: undefined });
    const { body } = eventToAppend(event, 0);
    const alone = Buffer.from(encodeEvent(event).body);
    expect(alone.toString('utf8', 4, 4 + alone.readUInt32LE(0)).trimEnd()).toBe(json);
    const room = Buffer.alloc(body.length + 16, 0xff);
    body.writeTo(room, 5);
    expect(room.subarray(5, 5 + body.length).equals(alone)).toBe(true);
    // And nothing beside it.
    expect([...room.subarray(0, 5), ...room.subarray(5 + body.length)].every(byte => byte === 0xff)).toBe(
      true,
    );
  },
);

test('the example is what the code writes', () => {
  const dump = document.split('## Example')[1]!.split('```')[1]!;
  const hex = [...dump.matchAll(/^ *\d+ {2}((?:[0-9a-f]{2} )*[0-9a-f]{2})(?: {2}|$)/gm)].map(
    ([, bytes]) => bytes,
  );
  expect(hex.join(' ').replaceAll(' ', '')).toBe(Buffer.from(encodeEvent(events[3]!).body).toString('hex'));
});

test('the log’s own records are passed over, but for those of a later version: they must be understood', () => {
  const first = { seq: 1, txFirst: 1, txIndex: 0, last: true, long: false, actor: 0, prevHash: 0n };
  const record = (type: number) =>
    decodeRecord(encodeRecord({ ...first, type, wallMs: 1, logicalMs: 1, body: Buffer.from('{}') }).bytes, 1);
  for (const type of Object.values(RecordType)) expect(eventOf(record(type))).toBeUndefined();
  for (const type of [7, 8, 15])
    expect(() => eventOf(record(type))).toThrow(expect.objectContaining({ code: 'EVENT_UNKNOWN' }));
  expect(eventOf(record(0x8000 | 7))).toBeUndefined();
});
