import type { Engine } from '#src/domain/face.js';

/** See map-engine.mjs. */
export function mapEngine(): Engine;
