/**
 * Sessions of the revisions before 2026-07-28: a handshake names the client and what it can do, later requests cite the session. The
 * newer revision has none.
 */
import { randomUUID } from 'node:crypto';
import { CodedError } from '../domain/errors.js';
import {
  isInitializeRequest,
  type McpServer,
  type Server,
  WebStandardStreamableHTTPServerTransport,
} from '../mcp/sdk.js';
import { SessionEvents } from './event-store.js';
import { badRequest, type Refusal, tooBusy } from './refusals.js';
import type { Token } from './tokens.js';

/** The SDK has two, of which the upper holds the lower. */
export type AnyServer = Server | McpServer;

interface Session {
  /** Whose it is: another token does not find it. */
  readonly token: Token;
  readonly server: AnyServer;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  lastUsedMs: number;
  /** Answers on their way and open event streams. */
  open: number;
}

export interface SessionsOptions {
  create(token: Token): AnyServer;
  /** Whether a session's token still counts. */
  isValid(token: Token): boolean;
  onError(error: Error): void;
  /** For one token; beyond them its longest unused goes. Default 128. */
  readonly maxPerToken?: number;
  /** Default 1024. */
  readonly max?: number;
  /** Unused for this long, a session is ended. Default 30 minutes. */
  readonly idleMs?: number;
  /** What clients are told to wait before they connect again. */
  readonly retryMs?: number;
}

const SWEEP_MS = 5_000;
const RETRY_MS = 1_000;

export class Sessions {
  private readonly sessions = new Map<string, Session>();
  private readonly sweeper: NodeJS.Timeout;

  constructor(private readonly options: SessionsOptions) {
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  get size(): number {
    return this.sessions.size;
  }

  /** @param body parsed; undefined where the method has none */
  async handle(request: Request, body: unknown, token: Token): Promise<Response | Refusal> {
    const id = request.headers.get('mcp-session-id');
    if (id === null) {
      if (request.method === 'POST' && isInitializeRequest(body)) return this.begin(request, body, token);
      return {
        ...badRequest(
          400,
          'a request of this revision cites its session',
          'Send initialize first, then the header Mcp-Session-Id that it answered.',
        ),
      };
    }
    const session = this.sessions.get(id);
    if (session === undefined || session.token.sha256 !== token.sha256) return notFound();
    return this.answer(session, request, body);
  }

  /** Ends the event streams that only wait for what may happen. */
  endStreams(): void {
    for (const { transport } of this.sessions.values()) transport.closeStandaloneSSEStream();
  }

  async close(): Promise<void> {
    clearInterval(this.sweeper);
    await Promise.all([...this.sessions.values()].map(session => session.server.close()));
  }

  private async begin(request: Request, body: unknown, token: Token): Promise<Response | Refusal> {
    if (!this.makeRoom(token)) return tooBusy('the server has as many sessions as it takes');
    const { create, onError, retryMs = RETRY_MS } = this.options;
    const server = create(token);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new SessionEvents(),
      retryInterval: retryMs,
      onsessioninitialized: id => {
        this.sessions.set(id, session);
      },
    });
    const session: Session = { token, server, transport, lastUsedMs: performance.now(), open: 0 };
    transport.onerror = onError;
    await server.connect(transport);
    // After connect, which sets its own: by then the server has been told, too.
    const { onclose } = transport;
    transport.onclose = () => {
      if (transport.sessionId !== undefined) this.sessions.delete(transport.sessionId);
      onclose?.();
    };
    const response = await this.answer(session, request, body);
    // It was refused: nobody knows the session.
    if (transport.sessionId === undefined) await server.close();
    return response;
  }

  private async answer(session: Session, request: Request, body: unknown): Promise<Response> {
    session.open++;
    const done = () => {
      session.open--;
      session.lastUsedMs = performance.now();
    };
    try {
      const response = await session.transport.handleRequest(request, {
        authInfo: authInfoOf(session.token),
        ...(body !== undefined && { parsedBody: body }),
      });
      return whenRead(response, done);
    } catch (error) {
      done();
      throw error;
    }
  }

  /** @returns false where every session of everybody is at work */
  private makeRoom(token: Token): boolean {
    const { max = 1024, maxPerToken = 128 } = this.options;
    const own = [...this.sessions.values()].filter(session => session.token.sha256 === token.sha256);
    if (own.length >= maxPerToken) return this.endIdlest(own);
    return this.sessions.size < max || this.endIdlest(own);
  }

  private endIdlest(sessions: readonly Session[]): boolean {
    const idle = sessions.filter(({ open }) => open === 0);
    if (idle.length === 0) return false;
    this.end(idle.reduce((a, b) => (a.lastUsedMs <= b.lastUsedMs ? a : b)));
    return true;
  }

  private sweep(): void {
    const { idleMs = 30 * 60_000, isValid } = this.options;
    const beforeMs = performance.now() - idleMs;
    for (const session of this.sessions.values()) {
      const isIdle = session.open === 0 && session.lastUsedMs < beforeMs;
      // A token that was revoked must not hear on, either.
      if (isIdle || !isValid(session.token)) this.end(session);
    }
  }

  private end({ server }: Session): void {
    server.close().catch(this.options.onError);
  }
}

/** What the SDK passes on to handlers; the secret is not among it. */
export const authInfoOf = ({ name, scope }: Token) => ({ token: '', clientId: name, scopes: [scope] });

/** The same response; `done` is called once, when its body has been read to the end or given up. */
function whenRead(response: Response, done: () => void): Response {
  if (response.body === null) {
    done();
    return response;
  }
  const reader = response.body.getReader();
  let isDone = false;
  const once = () => {
    if (!isDone) done();
    isDone = true;
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done: isEnd, value } = await reader.read();
        if (!isEnd) {
          controller.enqueue(value);
          return;
        }
        once();
        controller.close();
      } catch (error) {
        once();
        controller.error(error);
      }
    },
    async cancel(reason) {
      once();
      await reader.cancel(reason);
    },
  });
  return new Response(body, response);
}

function notFound(): Refusal {
  return {
    status: 404,
    rpcCode: -32_001,
    error: new CodedError(
      'SESSION_NOT_FOUND',
      'there is no such session of this token: it ended, or the server was restarted',
      'Send initialize again.',
    ),
  };
}
