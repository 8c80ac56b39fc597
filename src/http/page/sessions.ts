/** Who is logged in to the page. In memory alone: a server that starts anew wants a new link. */
import { randomBytes } from 'node:crypto';
import { digestOf, type Token } from '../tokens.js';

interface PageSession {
  readonly token: Token;
  readonly endsMs: number;
}

const SECRET_BYTES = 32;
const MAX_SESSIONS = 256;
const VALUE = /^[A-Za-z0-9_-]{43}$/;

export class PageSessions {
  /** By the digest of the cookie's value. */
  private readonly sessions = new Map<string, PageSession>();

  /**
   * @param isValid whether a token still counts
   * @param lifeMs from the login on, whatever is done meanwhile
   */
  constructor(
    private readonly isValid: (token: Token) => boolean,
    readonly lifeMs: number,
    private readonly clock: () => number = Date.now,
  ) {}

  /** @returns the value of the cookie */
  begin(token: Token): string {
    const value = randomBytes(SECRET_BYTES).toString('base64url');
    this.sessions.set(digestOf(value), { token, endsMs: this.clock() + this.lifeMs });
    // The oldest goes.
    if (this.sessions.size > MAX_SESSIONS) this.sessions.delete(this.sessions.keys().next().value!);
    return value;
  }

  /** The token of a session that has neither ended nor been revoked. */
  find(value: string): Token | undefined {
    if (!VALUE.test(value)) return undefined;
    const digest = digestOf(value);
    const session = this.sessions.get(digest);
    if (session === undefined) return undefined;
    if (session.endsMs > this.clock() && this.isValid(session.token)) return session.token;
    this.sessions.delete(digest);
    return undefined;
  }

  end(value: string): void {
    this.sessions.delete(digestOf(value));
  }
}
