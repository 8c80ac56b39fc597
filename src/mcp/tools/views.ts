import type { Actor } from '../../domain/model.js';
import { anyObject, integer, type ObjectSchema, text } from '../schema.js';

/** Who wrote an item, as results show it: what there is to judge it by, without empty fields. Self-declared by the client. */
export function actorView(actor: Actor | null): { actor?: Record<string, string> } {
  if (actor === null) return {};
  const client = `${actor.clientName} ${actor.clientVersion}`.trim();
  const view = { client, session: actor.session, project: actor.project, tool: actor.tool };
  return { actor: Object.fromEntries(Object.entries(view).filter(([, value]) => value !== '')) };
}

/** What search results, items of vector_get and (without text) of vector_list have in common. */
export const itemProperties = {
  id: text,
  collection: text,
  metadata: anyObject,
  version: integer,
  updated_at: text,
} as const satisfies ObjectSchema['properties'];
