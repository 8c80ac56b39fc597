/** What a token may do. */
import { CodedError } from '../domain/errors.js';
import { TOOLS } from '../mcp/tools/index.js';
import type { Tool } from '../mcp/tools/tool.js';

/** From the least to the most; each holds those before it. */
export const SCOPES = ['read', 'write', 'admin'] as const;

/** `read`: what changes nothing; `write`: items too; `admin`: also what reaches beyond the store, into the files of the server's machine. */
export type Scope = (typeof SCOPES)[number];

/** Whether a token of scope `held` may do what needs `needed`. */
export function holds(held: Scope, needed: Scope): boolean {
  return SCOPES.indexOf(held) >= SCOPES.indexOf(needed);
}

/** Tools that read files of the machine the server runs on, which are not the caller's. */
const BEYOND_THE_STORE: ReadonlySet<string> = new Set(['vector_ingest']);

/** A tool says by its annotation that it only reads; what says nothing counts as writing, as in the specification. */
export function scopeOfTool({ name, annotations }: Pick<Tool, 'name' | 'annotations'>): Scope {
  if (BEYOND_THE_STORE.has(name)) return 'admin';
  return annotations.readOnlyHint === true ? 'read' : 'write';
}

/** What calling the tool of this name needs. One that is not there needs nothing more: it is answered that it is not. */
export function scopeOfCall(toolName: unknown): Scope {
  const tool = TOOLS.find(candidate => candidate.name === toolName);
  return tool === undefined ? 'read' : scopeOfTool(tool);
}

/** @param tool its name, which is one of ours */
export function scopeInsufficient(tool: string, needed: Scope, held: Scope): CodedError {
  return new CodedError(
    'SCOPE_INSUFFICIENT',
    `${tool} needs the scope ${needed}, and this token has ${held}`,
    `Ask whoever runs the server for a token of that scope (mcp-vector-server token create NAME --scope ${needed}).`,
    { details: { needed, held } },
  );
}
