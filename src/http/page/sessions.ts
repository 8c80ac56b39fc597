/**
 * Who is logged in to the page. Each session is a file beside the tokens, named after the digest of its cookie, so that a page that is open when the server
 * starts anew goes on; it counts as long as its token does, which `token revoke` takes away.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, readToken, type Token, tokenNames } from '../tokens.js';

interface PageSession {
  readonly token: Token;
  readonly endsMs: number;
}

const SECRET_BYTES = 32;
const MAX_SESSIONS = 256;
const VALUE = /^[A-Za-z0-9_-]{43}$/;
export const SESSION_SUFFIX = '.session';
const VERSION = 1;

export interface PageSessionsOptions {
  /** Where the tokens lie. */
  readonly dir: string;
  /** Whether a token still counts. */
  readonly isValid: (token: Token) => boolean;
  /** From the login on, whatever is done meanwhile. */
  readonly lifeMs: number;
  readonly clock?: () => number;
}

export class PageSessions {
  /** By the digest of the cookie's value. */
  private readonly sessions = new Map<string, PageSession>();

  constructor(private readonly options: PageSessionsOptions) {}

  /** @returns the value of the cookie @throws what the file system throws */
  begin(token: Token): string {
    const { dir, lifeMs } = this.options;
    const value = randomBytes(SECRET_BYTES).toString('base64url');
    const digest = digestOf(value);
    const endsMs = this.nowMs() + lifeMs;
    const kept = { version: VERSION, token: token.name, ends: new Date(endsMs).toISOString() };
    writeFileSync(join(dir, digest + SESSION_SUFFIX), `${JSON.stringify(kept)}\n`, {
      mode: 0o600,
      flag: 'wx',
    });
    this.keep(digest, { token, endsMs });
    return value;
  }

  /** The token of a session that has neither ended nor been revoked. */
  find(value: string): Token | undefined {
    if (!VALUE.test(value)) return undefined;
    const digest = digestOf(value);
    const session = this.sessions.get(digest) ?? this.readAgain(digest);
    if (session === undefined) return undefined;
    if (session.endsMs > this.nowMs() && this.options.isValid(session.token)) return session.token;
    this.forget(digest);
    return undefined;
  }

  end(value: string): void {
    if (VALUE.test(value)) this.forget(digestOf(value));
  }

  private nowMs(): number {
    return (this.options.clock ?? Date.now)();
  }

  private keep(digest: string, session: PageSession): void {
    this.sessions.set(digest, session);
    // The oldest goes.
    if (this.sessions.size > MAX_SESSIONS) this.forget(this.sessions.keys().next().value!);
  }

  private forget(digest: string): void {
    this.sessions.delete(digest);
    rmSync(join(this.options.dir, digest + SESSION_SUFFIX), { force: true });
  }

  /** One that began with a server before this one. What cannot be read opens nothing. */
  private readAgain(digest: string): PageSession | undefined {
    const { dir } = this.options;
    const found = readSession(join(dir, digest + SESSION_SUFFIX));
    if (found === undefined || !tokenNames(dir).includes(found.token)) return undefined;
    const session = { token: readToken(dir, found.token), endsMs: found.endsMs };
    this.keep(digest, session);
    return session;
  }
}

/** @returns undefined for what is missing, or is none that this version writes */
export function readSession(path: string): { readonly token: string; readonly endsMs: number } | undefined {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) return undefined;
  try {
    const { version, token, ends } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    const endsMs = typeof ends === 'string' ? Date.parse(ends) : Number.NaN;
    return version === VERSION && typeof token === 'string' && Number.isFinite(endsMs)
      ? { token, endsMs }
      : undefined;
  } catch {
    // Cut short, or gone since.
    return undefined;
  }
}
