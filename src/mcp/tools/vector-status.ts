import type { AsOf } from '../../domain/face.js';
import { anyObject, asOf, type ObjectSchema, objects, text } from '../schema.js';
import { READS, type Tool } from './tool.js';

const properties: ObjectSchema['properties'] = {
  version: text,
  store: anyObject,
  head: anyObject,
  marks: objects,
  session: anyObject,
  collections: objects,
  checkpoint: anyObject,
  verification: anyObject,
  embedder: anyObject,
  memory: anyObject,
  disk: anyObject,
};

export const vectorStatus: Tool = {
  name: 'vector_status',
  title: 'Status of the memory',
  description:
    'Store, head, verification, marks, collections, embedder, session. E.g. {"as_of":"yesterday"}.',
  inputSchema: { type: 'object', properties: { as_of: asOf } },
  outputSchema: { type: 'object', properties, required: Object.keys(properties) },
  annotations: READS,

  async run(args, context) {
    const engine = await context.engine();
    const status = await engine.status(args as AsOf, context.call);
    // A space's id says provider, model and dimension; its digests are for machines, and long.
    const collections = status.collections.map(({ space, ...rest }) => ({ ...rest, space: space.id }));
    return { ...status, collections, session: context.session };
  },
};
