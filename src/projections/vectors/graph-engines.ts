import type { IndexEngine } from '../../domain/model.js';
import type { GraphEngineKind } from './graph-engine.js';
import { hnswlib } from './hnswlib-engine.js';
import { usearch } from './usearch-engine.js';

/** Their native modules are loaded on first use. */
export const GRAPH_ENGINES: Record<IndexEngine, GraphEngineKind> = { usearch, hnswlib };
