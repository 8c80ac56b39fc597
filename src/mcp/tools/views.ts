import type { ItemView } from '../../domain/face.js';
import type { Actor } from '../../domain/model.js';
import type { VersionView } from '../../domain/travel.js';
import { excerpt } from '../fit.js';
import { anyObject, boolean, integer, type ObjectSchema, type Schema, text } from '../schema.js';

/** Who wrote an item, as results show it: what there is to judge it by, without empty fields. Self-declared by the client. */
export function actorView(actor: Actor | null): { actor?: Record<string, string> } {
  if (actor === null) return {};
  const client = `${actor.clientName} ${actor.clientVersion}`.trim();
  const view = { client, session: actor.session, project: actor.project, tool: actor.tool };
  return { actor: Object.fromEntries(Object.entries(view).filter(([, value]) => value !== '')) };
}

/** What actorView answers. */
export const actor: Schema = {
  type: 'object',
  properties: { client: text, session: text, project: text, tool: text },
};

/** A resolved moment. */
export const resolvedMoment: Schema = {
  type: 'object',
  properties: { seq: integer, time: text },
  required: ['seq', 'time'],
};

/** What search results and items of vector_get have in common. */
export const itemProperties = {
  id: text,
  collection: text,
  text,
  truncated: boolean,
  metadata: anyObject,
  version: integer,
  updated_at: text,
  origin: text,
  actor,
} as const satisfies ObjectSchema['properties'];

/** An item with its text. See fit.ts for the parameters. */
export function renderItem(item: ItemView, textChars: number, bare: boolean): object {
  const shown = excerpt(item.text, textChars);
  return {
    id: item.id,
    collection: item.collection,
    text: shown.text,
    truncated: shown.truncated || bare,
    ...(bare ? {} : { metadata: item.metadata }),
    version: item.version,
    updated_at: item.updated_at,
    origin: item.origin,
    ...actorView(item.actor),
    ...(item.erased && { erased: item.erased }),
  };
}

/** What renderVersion answers. */
export const version: Schema = {
  type: 'object',
  properties: { version: integer, text, truncated: boolean, metadata: anyObject },
  required: ['version', 'text', 'truncated'],
};

/** An item as it was before or after something. See fit.ts for the parameters. */
export function renderVersion(view: VersionView, textChars: number, bare: boolean): object {
  const shown = excerpt(view.text, textChars);
  return {
    version: view.version,
    text: shown.text,
    truncated: shown.truncated || bare || view.cut === true,
    ...(bare ? {} : { metadata: view.metadata }),
    ...(view.erased && { erased: view.erased }),
  };
}
