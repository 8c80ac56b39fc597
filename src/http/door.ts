/** /mcp: one POST, GET or DELETE, authorised already, to the server of its revision and back. */
import { createMcpHandler, isLegacyRequest, type McpHttpHandler, type ServerEventBus } from '../mcp/sdk.js';
import { insufficientScope, type Refusal } from './refusals.js';
import { holds, type Scope, scopeInsufficient, scopeOfCall } from './scopes.js';
import { type AnyServer, authInfoOf, Sessions, type SessionsOptions } from './sessions.js';
import type { Token } from './tokens.js';

export interface DoorOptions {
  /** A server for one request of the newest revision, or for one session of an earlier one. */
  createServer(token: Token): AnyServer;
  isValid(token: Token): boolean;
  /** Errors that no client is told of. */
  onError(error: Error): void;
  /** What calling a tool needs. Default: as our tools say. */
  readonly scopeOfCall?: (toolName: unknown) => Scope;
  readonly sessions?: Pick<SessionsOptions, 'max' | 'maxPerToken' | 'idleMs' | 'retryMs'>;
  /** What open subscriptions of the newest revision are told of. Default: only of what is published by `notify`. */
  readonly bus?: ServerEventBus;
  /** Subscriptions open at once, of all tokens. Default 1024. */
  readonly maxSubscriptions?: number;
}

export class Door {
  private readonly modern: McpHttpHandler;
  private readonly sessions: Sessions;

  constructor(private readonly options: DoorOptions) {
    const { createServer, isValid, onError, bus, maxSubscriptions } = options;
    this.modern = createMcpHandler(({ authInfo }) => createServer(authInfo?.extra?.grant as Token), {
      legacy: 'reject',
      onerror: onError,
      ...(bus !== undefined && { bus }),
      ...(maxSubscriptions !== undefined && { maxSubscriptions }),
    });
    this.sessions = new Sessions({ create: createServer, isValid, onError, ...options.sessions });
  }

  /** Tells open subscriptions of the newest revision that something changed. */
  get notify(): McpHttpHandler['notify'] {
    return this.modern.notify;
  }

  /** Sessions of earlier revisions. */
  get sessionCount(): number {
    return this.sessions.size;
  }

  /** @param body parsed; undefined where the method has none */
  async handle(request: Request, body: unknown, token: Token): Promise<Response | Refusal> {
    const refusal = this.beyondScope(body, token);
    if (refusal !== undefined) return refusal;
    if (await isLegacyRequest(request, body)) return this.sessions.handle(request, body, token);
    const authInfo = { ...authInfoOf(token), extra: { grant: token } };
    return this.modern.fetch(request, { authInfo, ...(body !== undefined && { parsedBody: body }) });
  }

  /** Ends the streams that only wait for what may happen; answers on their way go on. */
  endStreams(): void {
    this.sessions.endStreams();
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await Promise.all([this.modern.close(), this.sessions.close()]);
  }

  /** Before a server is made: the specification wants 403 for it, which a handler cannot answer any more. */
  private beyondScope(body: unknown, { scope }: Token): Refusal | undefined {
    const { scopeOfCall: scopeOf = scopeOfCall } = this.options;
    for (const message of Array.isArray(body) ? body : [body]) {
      const { method, params } = (message ?? {}) as { method?: unknown; params?: { name?: unknown } | null };
      if (method !== 'tools/call') continue;
      const needed = scopeOf(params?.name);
      if (!holds(scope, needed))
        return insufficientScope(scopeInsufficient(String(params?.name), needed, scope));
    }
    return undefined;
  }
}

/** Whether a request opens a stream that lives until somebody ends it. */
export function isStream(httpMethod: string, body: unknown): boolean {
  return (
    httpMethod === 'GET' || (body as Partial<{ method: unknown }> | null)?.method === 'subscriptions/listen'
  );
}

/** The id of a single request, which an answer to it cites. */
export function idOf(body: unknown): string | number | null {
  const { id } = (body ?? {}) as Partial<{ id: unknown }>;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}
