import { anyObject, type ObjectSchema, text } from '../schema.js';
import { READS, type Tool } from './tool.js';

const properties: ObjectSchema['properties'] = {
  version: text,
  store: anyObject,
  head: anyObject,
  session: anyObject,
  collections: { type: 'array', items: anyObject },
  checkpoint: anyObject,
  embedder: anyObject,
  memory: anyObject,
  disk: anyObject,
};

export const vectorStatus: Tool = {
  name: 'vector_status',
  title: 'Status of the memory',
  description: 'Version, store, head of the log, collections with counts, index, embedder, this session.',
  inputSchema: { type: 'object', properties: {} },
  outputSchema: { type: 'object', properties, required: Object.keys(properties) },
  annotations: READS,

  async run(_args, context) {
    const engine = await context.engine();
    const status = await engine.status({}, context.call);
    // A space's id says provider, model and dimension; its digests are for machines, and long.
    const collections = status.collections.map(({ space, ...rest }) => ({ ...rest, space: space.id }));
    return { ...status, collections, session: context.session };
  },
};
