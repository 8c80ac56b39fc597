import type { StoreShape } from './store.js';

/** The stores that the campaign damages; of the second one only what the first has not: the files of graphs. */
export const SHAPES: readonly (StoreShape & { readonly only?: RegExp })[] = [
  { name: 'plain', sessions: 3, itemsPerSession: 28 },
  {
    name: 'graph',
    sessions: 2,
    itemsPerSession: 40,
    graphThresholdRows: 12,
    only: /^checkpoints\/.*collection-/,
  },
];
