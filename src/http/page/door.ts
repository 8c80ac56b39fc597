/**
 * The page's side of the HTTP server: its files, its logins and its calls. A call is a POST of JSON with the session's cookie, from the
 * page itself: the browser says so in Origin and Sec-Fetch-Site, and a header of our own, which no other page can send without being
 * asked for leave (CORS, Fetch standard), says so too. The cookie counts here and nowhere else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from '../../domain/access.js';
import { CodedError, isCoded } from '../../domain/errors.js';
import type { CallContext, Engine } from '../../domain/face.js';
import { guardedEngine } from '../../mcp/guarded-engine.js';
import { badRequest, forbidden, type Refusal, shuttingDown } from '../refusals.js';
import { holds } from '../scopes.js';
import type { TokenBook } from '../token-book.js';
import type { Token } from '../tokens.js';
import { PAGE_CALLS } from './api.js';
import { PageChanges, sessionOver } from './changes.js';
import { cookie, cookieOf } from './cookie.js';
import { Fields } from './fields.js';
import { PAGE_HEADERS, readPageFiles } from './files.js';
import { SESSION_MS, useLogin } from './login.js';
import { PageOperations, runNeedsAdmin } from './operations.js';
import { PageSessions } from './sessions.js';

export interface PageDoorOptions {
  engine(): Promise<Engine>;
  readonly version: string;
  readonly tokensDir: string;
  readonly tokens: TokenBook;
  /** What no token goes beyond. */
  readonly access: Access;
  /** For tests. */
  readonly clock?: () => number;
}

/** The header that every call of the page has, with the value 1. */
export const PAGE_HEADER = 'x-mcp-vector-page';
/** Of one call. */
export const MAX_CALL_BYTES = 64 * 1024;
const ZONE_HEADER = 'x-time-zone';
const CALL_PREFIX = '/api/';
/** Calls that are the door's own. */
const OWN_CALLS = ['login', 'logout', 'me', 'run', 'changes'];
/** Codes that are not the caller's fault. */
const STATUS_OF: Readonly<Record<string, number>> = {
  READ_ONLY: 403,
  ACCESS_DENIED: 403,
  COLLECTION_NOT_FOUND: 404,
  MARK_NOT_FOUND: 404,
  PLAN_STALE: 409,
  MARK_EXISTS: 409,
  JOB_RUNNING: 409,
  SCOPE_INSUFFICIENT: 403,
  UNAUTHORIZED: 401,
  ENGINE_CLOSED: 503,
  CANCELLED: 499,
};

export class PageDoor {
  private readonly files = readPageFiles();
  private readonly sessions: PageSessions;
  private readonly operations: PageOperations;
  private readonly changes = new PageChanges();

  constructor(private readonly options: PageDoorOptions) {
    const { tokens, tokensDir, engine, clock = Date.now } = options;
    const isValid = (token: Token) => tokens.isValid(token);
    this.sessions = new PageSessions({ dir: tokensDir, isValid, lifeMs: SESSION_MS, clock });
    this.operations = new PageOperations({ engine, clock });
  }

  /** What there is at a path, to the letter. */
  kindOf(path: string): 'file' | 'call' | undefined {
    if (this.files.has(path)) return 'file';
    const name = path.startsWith(CALL_PREFIX) ? path.slice(CALL_PREFIX.length) : '';
    const isCall = OWN_CALLS.includes(name) || PAGE_CALLS.has(name) || this.operations.has(name);
    return isCall ? 'call' : undefined;
  }

  /** Whether a call waits for what may happen, and is no work. */
  isWait(path: string): boolean {
    return path === `${CALL_PREFIX}changes`;
  }

  /** Ends the calls that only wait: the server is about to end. */
  endWaits(): void {
    this.changes.end(shuttingDown().error);
  }

  /** Answers with a file, or that it has not changed. The method is GET or HEAD. */
  sendFile(path: string, request: IncomingMessage, response: ServerResponse): undefined {
    const { type, bytes, etag } = this.files.get(path)!;
    const headers = { ...PAGE_HEADERS, ETag: etag, 'Cache-Control': 'no-cache' };
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, headers).end();
      return undefined;
    }
    response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': bytes.length });
    response.end(request.method === 'HEAD' ? undefined : bytes);
    return undefined;
  }

  /** What can be said of a call by its headers alone. Its method is POST. */
  refusalOf(request: IncomingMessage): Refusal | undefined {
    const { origin, host } = request.headersDistinct;
    const site = request.headers['sec-fetch-site'];
    const isOwn = origin?.length === 1 && host?.length === 1 && hostOf(origin[0]!) === host[0]!.toLowerCase();
    if (!isOwn || (site !== undefined && site !== 'same-origin')) return forbidden('ORIGIN_FORBIDDEN');
    if (request.headers[PAGE_HEADER] !== '1')
      return {
        status: 403,
        error: new CodedError(
          'ORIGIN_FORBIDDEN',
          `the call has no header ${PAGE_HEADER}: it is not from the page`,
          'Open the page itself; programs use /mcp with a token.',
        ),
      };
    return undefined;
  }

  /** Whose session the request's cookie is of. */
  tokenOf(request: IncomingMessage): Token | undefined {
    const value = cookieOf(request);
    return value === undefined ? undefined : this.sessions.find(value);
  }

  /** Whether a call is the one that takes a code and needs no session. */
  isLogin(path: string): boolean {
    return path === `${CALL_PREFIX}login`;
  }

  /** @returns undefined where a session was begun; the code is used up */
  login(body: unknown, request: IncomingMessage, response: ServerResponse): Refusal | undefined {
    const { tokensDir, tokens, clock = Date.now } = this.options;
    const code = this.fieldsOf(body, ['code']);
    if (!(code instanceof Fields)) return code;
    let token: Token | undefined;
    try {
      token = useLogin(tokensDir, code.text('code', 200) ?? '', clock());
    } catch (error) {
      return refusalFor(error);
    }
    if (token === undefined || !tokens.isValid(token)) return loginInvalid();
    const value = this.sessions.begin(token);
    response.setHeader('Set-Cookie', cookie(request, value, SESSION_MS / 1000));
    return this.sendJson(response, this.me(token));
  }

  /** A call of a session. @param signal ends the work when the page no longer waits */
  async call(
    path: string,
    body: unknown,
    token: Token,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<Refusal | undefined> {
    const name = path.slice(CALL_PREFIX.length);
    if (name === 'logout') {
      this.sessions.end(cookieOf(request)!);
      response.setHeader('Set-Cookie', cookie(request, '', 0));
      return this.sendJson(response, { logged_out: true });
    }
    if (name === 'me') return this.sendJson(response, this.me(token));
    const { engine, version, access } = this.options;
    const context: CallContext = {
      actor: {
        clientName: 'page',
        clientVersion: version,
        session: token.name,
        sessionSource: 'token',
        project: '',
        transport: 'http',
        tool: `page ${name}`,
      },
      signal,
      zone: request.headersDistinct[ZONE_HEADER]?.[0] ?? null,
    };
    const rights = { ...access, readOnly: access.readOnly || token.scope === 'read' };
    try {
      if (this.operations.has(name))
        return this.sendJson(response, await this.operations.call(name, body, context));
      if (name === 'run' && !holds(token.scope, 'admin')) throw runNeedsAdmin(token.scope);
      const guarded = guardedEngine(await engine(), rights);
      const answer =
        name === 'run'
          ? await this.operations.run(body, guarded, context)
          : name === 'changes'
            ? await this.changes.wait(body, guarded, context, () => this.tokenOf(request) !== undefined)
            : await PAGE_CALLS.get(name)!(body, guarded, context);
      return this.sendJson(response, answer);
    } catch (error) {
      return refusalFor(error);
    }
  }

  private me({ name, scope, expires }: Token): object {
    const { version, access } = this.options;
    const isLimited = access.readOnly || access.collections !== undefined;
    return {
      ...{ name, version, expires },
      may_write: scope !== 'read' && !access.readOnly,
      may_run: holds(scope, 'admin') && !isLimited,
    };
  }

  private fieldsOf(body: unknown, known: readonly string[]): Fields | Refusal {
    try {
      return new Fields(body, known);
    } catch (error) {
      return refusalFor(error);
    }
  }

  private sendJson(response: ServerResponse, answer: object): undefined {
    const text = JSON.stringify(answer);
    response.writeHead(200, {
      ...PAGE_HEADERS,
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(text),
    });
    response.end(text);
    return undefined;
  }
}

/** The host and port of an origin; undefined for what is none. */
function hostOf(origin: string): string | undefined {
  const { protocol, host } = URL.canParse(origin) ? new URL(origin) : { protocol: '', host: '' };
  return protocol === 'http:' || protocol === 'https:' ? host : undefined;
}

/** @throws what has no code */
function refusalFor(error: unknown): Refusal {
  if (!isCoded(error)) throw error;
  const coded = error as unknown as CodedError;
  return { status: STATUS_OF[coded.code] ?? 422, error: coded };
}

function loginInvalid(): Refusal {
  return {
    status: 401,
    error: new CodedError(
      'LOGIN_INVALID',
      'the link was used already, is too old, or was revoked',
      'Make another: mcp-vector-server page',
    ),
  };
}

export const notLoggedIn = (): Refusal => ({ status: 401, error: sessionOver() });

export const noSuchMethod = (methods: string): Refusal => ({
  ...badRequest(405, 'this path has no such method', `It takes ${methods}.`),
  headers: { Allow: methods },
});
