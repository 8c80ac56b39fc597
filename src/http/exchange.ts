import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Route } from './metrics.js';
import { PAGE_HEADERS } from './page/files.js';
import { plainBody, type Refusal, rpcBody } from './refusals.js';
import type { Token } from './tokens.js';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** One request on its way, what became known of it, and its answer. */
export class Exchange {
  /** The client's, where it gave one. */
  readonly id: string;
  private readonly startedMs = performance.now();
  token?: Token;
  /** Of the error that it was refused with. */
  code?: string;
  isStream = false;
  /** The JSON-RPC id of the request, once it is read. */
  rpcId?: string | number | null;

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly route: Route,
  ) {
    const given = request.headers['x-request-id'];
    this.id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    response.setHeader('X-Request-Id', this.id);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-store');
  }

  /** How long it has taken. */
  get seconds(): number {
    return (performance.now() - this.startedMs) / 1000;
  }

  /** 499: the client left. */
  get status(): number {
    return this.response.writableFinished ? this.response.statusCode : 499;
  }

  sendText(status: number, text: string, type = 'text/plain; charset=utf-8'): undefined {
    const { request, response } = this;
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  }

  /** @returns false where an answer is on its way already, or nobody waits for one */
  refuse(refusal: Refusal): boolean {
    const { request, response, route } = this;
    if (response.headersSent || response.destroyed) return false;
    this.code = refusal.error.code;
    const body = route === '/mcp' ? rpcBody(refusal, this.rpcId) : plainBody(refusal);
    // A body that was not read would be taken for the next request.
    const isUnread = !request.readableEnded && request.method === 'POST';
    response.writeHead(refusal.status, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      ...((route === 'page' || route === 'api') && PAGE_HEADERS),
      ...refusal.headers,
      ...(isUnread && { Connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    return true;
  }
}
