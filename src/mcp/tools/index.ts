import type { Tool } from './tool.js';
import { vectorDelete } from './vector-delete.js';
import { vectorGet } from './vector-get.js';
import { vectorIngest } from './vector-ingest.js';
import { vectorList } from './vector-list.js';
import { vectorSearch } from './vector-search.js';
import { vectorStatus } from './vector-status.js';
import { vectorUpsert } from './vector-upsert.js';

/** Every tool, in the order in which tools/list shows them. */
export const TOOLS: readonly Tool[] = [
  vectorSearch,
  vectorUpsert,
  vectorGet,
  vectorList,
  vectorDelete,
  vectorIngest,
  vectorStatus,
];
