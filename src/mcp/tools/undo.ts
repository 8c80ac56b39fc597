/** What a write's answer says about taking it back. */
export interface Undo {
  readonly tool?: string;
  readonly arguments?: Record<string, unknown>;
  readonly command?: string;
  readonly note?: string;
}

/** What was created is undone by deleting it. */
export function undoByDelete(collection: string, ids: readonly string[]): Undo {
  return { tool: 'vector_delete', arguments: { collection, ids } };
}

/**
 * What was overwritten or deleted is still in the log: replaying up to just before the write brings it back, into a
 * second store beside this one.
 * @param firstSeq the first event of the write
 */
export function undoByReplay(firstSeq: number): Undo {
  return {
    command: `mcp-vector-server replay --until ${firstSeq - 1} --to DIR`,
    note: 'Run it after this server has stopped, with its VECTOR_DB_PATH: it writes the store as it was before into DIR and leaves this one as it is.',
  };
}
