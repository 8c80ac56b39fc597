import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { parse } from 'node:path';
import type { Actor } from '../domain/model.js';

/** What this process knows of itself before any client speaks. */
export interface WindowIdentity {
  /** A ULID of this process: the session where nobody names a better one. */
  readonly window: string;
  /** The session that the environment names, if it does. */
  readonly environment?: { readonly session: string; readonly source: string };
  /** The project's directory, or an empty string. */
  readonly project: string;
}

/** What one request says about its client; everything in it is the client's own word. */
export interface RequestIdentity {
  readonly clientName?: string | undefined;
  readonly clientVersion?: string | undefined;
  /** The request's `_meta`. */
  readonly meta?: { readonly [key: string]: unknown } | undefined;
}

/** Claude Code (since 2.1.154) names its session so in the environment of stdio servers. */
const SESSION_VARIABLES = ['CLAUDE_CODE_SESSION_ID'] as const;

/** Claude Code (since 2.1.141) names the project's directory so. */
export const PROJECT_VARIABLE = 'CLAUDE_PROJECT_DIR';

/** Reads the window's identity from its environment. @param cwd The working directory, absolute. */
export function identifyWindow(env: NodeJS.ProcessEnv, cwd: string): WindowIdentity {
  const variable = SESSION_VARIABLES.find(name => env[name] !== undefined && env[name] !== '');
  const project = env[PROJECT_VARIABLE] ?? '';
  return {
    window: ulid(Date.now()),
    ...(variable === undefined
      ? {}
      : { environment: { session: declared(env[variable]!, 128), source: `env:${variable}` } }),
    project: project !== '' ? project : isProjectDirectory(cwd) ? cwd : '',
  };
}

/** False for a file system's root and the home directory: clients start servers there when they have no project. */
export function isProjectDirectory(directory: string): boolean {
  return directory !== parse(directory).root && directory !== homedir();
}

/** The actor to stamp on what a request writes. @param tool The tool's or command's name. */
export function actorOf(
  window: WindowIdentity,
  request: RequestIdentity,
  transport: Actor['transport'],
  tool: string,
): Actor {
  const fromMeta = sessionFromMeta(request.meta);
  const { session, source } =
    fromMeta !== undefined
      ? { session: fromMeta, source: 'meta' }
      : (window.environment ?? { session: window.window, source: 'window' });
  return {
    clientName: declared(request.clientName ?? '', 64),
    clientVersion: declared(request.clientVersion ?? '', 64),
    session,
    sessionSource: source,
    project: window.project,
    transport,
    tool,
  };
}

/**
 * The conversation as the client names it: Codex sends `threadId` (older ones only `x-codex-turn-metadata`, whose
 * `session_id` sub-threads share), VS Code sends `vscode.conversationId`.
 */
function sessionFromMeta(meta: { readonly [key: string]: unknown } | undefined): string | undefined {
  if (meta === undefined) return undefined;
  const turn = meta['x-codex-turn-metadata'];
  const codex = typeof turn === 'object' && turn !== null ? (turn as Record<string, unknown>) : {};
  const candidates = [meta.threadId, codex.thread_id, codex.session_id, meta['vscode.conversationId']];
  const session = candidates.find(
    candidate => typeof candidate === 'string' && declared(candidate, 128) !== '',
  );
  return session === undefined ? undefined : declared(session as string, 128);
}

/** A self-declared name as it is kept: at most `maxChars`, without control and format characters (bidirectional ones among them). */
function declared(value: string, maxChars: number): string {
  // toWellFormed by way of UTF-8: a cut may not leave half of a surrogate pair behind.
  const clean = value.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').slice(0, maxChars);
  return Buffer.from(clean, 'utf8').toString('utf8').trim();
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A ULID (github.com/ulid/spec): 48 bits of milliseconds and 80 random bits in Crockford's base 32. */
function ulid(timeMs: number): string {
  const bytes = Buffer.concat([Buffer.alloc(6), randomBytes(10)]);
  bytes.writeUIntBE(timeMs, 0, 6);
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let encoded = '';
  for (let i = 0; i < 26; i++, value >>= 5n) encoded = CROCKFORD[Number(value & 31n)] + encoded;
  return encoded;
}

/** This session as vector_status shows it. */
export interface SessionView {
  readonly id: string;
  /** Where the id came from: see Actor.sessionSource. */
  readonly source: string;
  readonly client: string;
  readonly project: string;
  readonly transport: Actor['transport'];
}

export function sessionView(actor: Actor): SessionView {
  return {
    id: actor.session,
    source: actor.sessionSource,
    client: `${actor.clientName} ${actor.clientVersion}`.trim(),
    project: actor.project,
    transport: actor.transport,
  };
}
