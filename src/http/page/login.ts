/**
 * One-time logins for the page. A login is a token of its own, which counts for nothing but the page since nobody ever has its secret
 * (so `token list` shows it and `token revoke` ends it), and a file beside it named after the digest of a code: whoever brings the code
 * first takes the file away.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../domain/errors.js';
import type { Scope } from '../scopes.js';
import { createToken, digestOf, listTokens, readToken, type Token, tokenNames } from '../tokens.js';
import { readSession, SESSION_SUFFIX } from './sessions.js';

const CODE_BYTES = 32;
const CODE = /^[A-Za-z0-9_-]{43}$/;
const SUFFIX = '.login';
const NAME_PREFIX = 'page-';
const VERSION = 1;
/** How long a link can be used. */
export const LINK_MS = 5 * 60_000;
/** How long a page that was logged in by it stays so. */
export const SESSION_MS = 12 * 3_600_000;

export interface Login {
  /** What the link carries; it is told now and never again. */
  readonly code: string;
  /** Of the token: `token revoke` ends what was logged in. */
  readonly name: string;
  readonly scope: Scope;
  readonly expires: Date;
}

/**
 * Makes a login, and clears away those that are over.
 * @param dir where the tokens lie
 * @throws CodedError TOKENS_UNSAFE, TOKEN_DAMAGED
 */
export function createLogin(dir: string, scope: Scope, now = new Date()): Login {
  removeExpired(dir, now);
  const name = NAME_PREFIX + randomBytes(6).toString('hex');
  createToken(dir, { name, scope, expires: new Date(now.getTime() + LINK_MS + SESSION_MS) }, now);
  const code = randomBytes(CODE_BYTES).toString('base64url');
  const expires = new Date(now.getTime() + LINK_MS);
  const kept = { version: VERSION, token: name, expires: expires.toISOString() };
  writeFileSync(join(dir, digestOf(code) + SUFFIX), `${JSON.stringify(kept)}\n`, { mode: 0o600, flag: 'wx' });
  return { code, name, scope, expires };
}

/**
 * Takes a code in, once.
 * @returns the token that the login is of; undefined for a code that is unknown, was used, or came too late
 */
export function useLogin(dir: string, code: string, nowMs: number): Token | undefined {
  if (!CODE.test(code)) return undefined;
  const path = join(dir, digestOf(code) + SUFFIX);
  const login = readLogin(path);
  if (login === undefined) return undefined;
  try {
    // Of two that come at once only one takes it away.
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (!(Date.parse(login.expires) > nowMs)) return undefined;
  return tokenNames(dir).includes(login.token) ? readToken(dir, login.token) : undefined;
}

function readLogin(path: string): { readonly token: string; readonly expires: string } | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { version, token, expires } = JSON.parse(text) as Record<string, unknown>;
    if (version === VERSION && typeof token === 'string' && typeof expires === 'string')
      return { token, expires };
  } catch {
    // As one of another form: it opens nothing.
  }
  throw new CodedError(
    'TOKEN_DAMAGED',
    'the file of this login is not one that this version writes',
    'Make another link: mcp-vector-server page',
  );
}

function removeExpired(dir: string, now: Date): void {
  for (const { name, expires } of listTokens(dir))
    if (name.startsWith(NAME_PREFIX) && expires !== null && Date.parse(expires) <= now.getTime())
      rmSync(join(dir, `${name}.json`), { force: true });
  const files = tokenNames(dir).length === 0 ? [] : readdirSync(dir);
  for (const file of files.filter(one => one.endsWith(SESSION_SUFFIX)))
    if (!((readSession(join(dir, file))?.endsMs ?? 0) > now.getTime()))
      rmSync(join(dir, file), { force: true });
  for (const file of files.filter(one => one.endsWith(SUFFIX))) {
    const path = join(dir, file);
    let isOver = true;
    try {
      isOver = Date.parse(readLogin(path)?.expires ?? '') <= now.getTime();
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
    }
    if (isOver) rmSync(path, { force: true });
  }
}
