import type { StoreShape } from './store.js';

/** The stores that the campaign damages; of the later ones only what the first has not: a log without checkpoints, and graphs. */
export const SHAPES: readonly (StoreShape & { readonly only?: RegExp })[] = [
  { name: 'plain', sessions: 3, itemsPerSession: 34 },
  { name: 'crashed', sessions: 2, itemsPerSession: 14, isCrashed: true, only: /^(HEAD|log\/)/ },
  {
    name: 'graph',
    sessions: 1,
    itemsPerSession: 24,
    graphThresholdRows: 8,
    only: /^checkpoints\/.*\.(rows|usearch|vectors)$/,
  },
];
