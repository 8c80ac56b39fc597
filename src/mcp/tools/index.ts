import { listedInput, listedOutput } from '../schema.js';
import type { Tool } from './tool.js';
import { vectorDelete } from './vector-delete.js';
import { vectorDiff } from './vector-diff.js';
import { vectorGet } from './vector-get.js';
import { vectorHistory } from './vector-history.js';
import { vectorIngest } from './vector-ingest.js';
import { vectorList } from './vector-list.js';
import { vectorMark } from './vector-mark.js';
import { vectorRevert } from './vector-revert.js';
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
  vectorHistory,
  vectorDiff,
  vectorRevert,
  vectorMark,
  vectorStatus,
];

/** Whether a tool changes nothing: all that a server offers which only reads. */
export const onlyReads = (tool: Tool): boolean => tool.annotations.readOnlyHint === true;

/** What tools/list says of each. */
export const LISTED_TOOLS = TOOLS.map(({ run, question, inputSchema, outputSchema, ...tool }) => ({
  ...tool,
  inputSchema: listedInput(inputSchema),
  outputSchema: listedOutput(outputSchema),
}));
