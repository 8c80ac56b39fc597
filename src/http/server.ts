/** The HTTP server: what every request meets, in order, before the door and after it. */
import { randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingMessage,
  type Server as NodeServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { CodedError } from '../domain/errors.js';
import type { StatusAnswer } from '../domain/face.js';
import type { HealthAnswer } from '../domain/health.js';
import type { Logger } from '../log.js';
import { isJsonContentType } from '../mcp/sdk.js';
import { Door, type DoorOptions, idOf, isStream } from './door.js';
import { readBody, sendResponse, webRequest } from './exchange.js';
import { Budget, Gate, RateLimiter } from './limits.js';
import { type Metrics, ROUTES, type Route } from './metrics.js';
import { Names, type NamesOptions } from './names.js';
import { MAX_CALL_BYTES, noSuchMethod, notLoggedIn, type PageDoor } from './page/door.js';
import { PAGE_HEADERS } from './page/files.js';
import {
  badRequest,
  bodyTooLarge,
  forbidden,
  notJson,
  plainBody,
  type Refusal,
  rateLimited,
  rpcBody,
  shuttingDown,
  tooBusy,
  unauthorized,
} from './refusals.js';
import type { TokenBook } from './token-book.js';
import type { Token } from './tokens.js';

export interface Limits {
  /** Of one request's body. */
  readonly maxBodyBytes: number;
  /** Requests a second of one token, with as many again at once; 0 for no limit. */
  readonly ratePerSecond: number;
  /** Requests of one token at work at once; four times as many of all. */
  readonly concurrency: number;
  /** Event streams of one token open at once; four times as many of all. */
  readonly streams: number;
}

export const DEFAULT_LIMITS: Limits = {
  // As much as over stdio.
  maxBodyBytes: 10 * 1024 * 1024,
  ratePerSecond: 100,
  concurrency: 64,
  streams: 64,
};

export interface HttpServerOptions extends NamesOptions {
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM; without it the server speaks plain HTTP. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly limits: Limits;
  readonly tokens: TokenBook;
  readonly createServer: DoorOptions['createServer'];
  /** See DoorOptions. */
  readonly door?: Pick<DoorOptions, 'bus' | 'scopeOfCall' | 'sessions'>;
  /** The store's state. @throws where it cannot be told */
  status(): Promise<StatusAnswer>;
  /** How it does. @param maxAgeMs how old the answer may be @throws where it cannot be told */
  health(maxAgeMs: number): Promise<HealthAnswer>;
  readonly logger: Logger;
  readonly metrics: (gauges: ConstructorParameters<typeof Metrics>[0]) => Metrics;
  /** What is at / and below /api/. Default: nothing is. */
  readonly page?: PageDoor;
  /** For tests. */
  readonly timeouts?: { readonly headersMs: number; readonly requestMs: number };
}

const HEADERS_MS = 30_000;
/** Longer than proxies keep theirs, or they would send a request into a connection that is being closed. */
const KEEP_ALIVE_MS = 75_000;
const REQUEST_MS = 60_000;
const CHECK_MS = 1_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 4096;
/** Connections that may come at once before they are accepted. */
const BACKLOG = 1024;
/** Bodies of all requests together. */
const MAX_BODIES_BYTES = 64 * 1024 * 1024;
/** Wrong tokens from one address, a second. */
const FAILURES_PER_SECOND = 10;
const STATUS_MS = 5_000;
/** Whoever asks without a token, every few milliseconds perhaps, costs one look in so many. */
const HEALTH_AGE_MS = 10_000;
/** Of those with one. */
const REPORT_AGE_MS = 1_000;
/** How soon a stream ends whose token was revoked. */
const WATCH_MS = 5_000;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly id: string;
  readonly route: Route;
  readonly startedMs: number;
  token?: Token;
  /** Of the error that it was refused with. */
  code?: string;
  isStream: boolean;
  /** The JSON-RPC id of the request, once it is read. */
  rpcId?: string | number | null;
}

export class HttpServer {
  readonly door: Door;
  private readonly server: NodeServer;
  private readonly names: Names;
  private readonly metrics: Metrics;
  private readonly rate: RateLimiter;
  private readonly failures = new RateLimiter(FAILURES_PER_SECOND, FAILURES_PER_SECOND * 2);
  private readonly gate: Gate;
  private readonly streamGate: Gate;
  private readonly bodies = new Budget(MAX_BODIES_BYTES);
  private isDraining = false;
  private wasIdle: () => void = () => undefined;

  constructor(private readonly options: HttpServerOptions) {
    const { tls, limits, timeouts, tokens, logger, createServer: create } = options;
    this.names = new Names(options);
    this.rate = new RateLimiter(limits.ratePerSecond, limits.ratePerSecond * 2);
    this.gate = new Gate(limits.concurrency * 4, limits.concurrency);
    this.streamGate = new Gate(limits.streams * 4, limits.streams);
    this.door = new Door({
      createServer: create,
      isValid: token => tokens.isValid(token),
      onError: error => logger.debug({ error: error.name }, 'a request was refused by the protocol'),
      ...options.door,
    });
    this.metrics = options.metrics({
      inFlight: () => this.gate.size,
      streams: () => this.streamGate.size,
      sessions: () => this.door.sessionCount,
      status: () => this.status(),
      health: () => this.health(HEALTH_AGE_MS),
    });
    const settings = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: timeouts?.headersMs ?? HEADERS_MS,
      requestTimeout: timeouts?.requestMs ?? REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
    };
    const listener = (request: IncomingMessage, response: ServerResponse) =>
      void this.serve(request, response);
    this.server =
      tls === undefined
        ? createServer(settings, listener)
        : createTlsServer({ ...settings, ...tls, minVersion: 'TLSv1.2' }, listener);
    this.server.maxConnections = MAX_CONNECTIONS;
    this.server.on('clientError', answerMalformed);
    // A client that waits for leave to send its body is judged by its headers first.
    this.server.on('checkContinue', listener);
  }

  /** How many tokens there are. */
  get tokenCount(): number {
    return this.options.tokens.size;
  }

  /** Begins to listen. @returns the address, with the port that was free @throws CodedError ADDRESS_UNAVAILABLE */
  async listen(): Promise<AddressInfo> {
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', error => reject(unavailable(host, port, error)));
      this.server.listen({ host, port, backlog: BACKLOG }, resolve);
    });
    this.server.removeAllListeners('error');
    this.server.on('error', error => this.options.logger.error({ err: error }, 'the HTTP server failed'));
    return this.server.address() as AddressInfo;
  }

  /**
   * Takes no new work, lets what is at work end, and is gone. Streams that only wait are ended at once.
   * @param graceMs how long answers on their way may take
   */
  async close(graceMs: number): Promise<void> {
    this.isDraining = true;
    const closed = new Promise<void>(resolve => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    this.door.endStreams();
    this.options.page?.endWaits();
    if (this.gate.size > 0) {
      const idle = new Promise<void>(resolve => {
        this.wasIdle = resolve;
      });
      const patience = new Promise<void>(resolve => setTimeout(resolve, graceMs).unref());
      await Promise.race([idle, patience]);
    }
    await this.door.close();
    // What the last streams were told is on its way.
    await new Promise(resolve => setImmediate(resolve));
    this.server.closeIdleConnections();
    const lastBytes = setTimeout(() => this.server.closeAllConnections(), Math.min(graceMs, 1_000));
    await closed;
    clearTimeout(lastBytes);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers['x-request-id'];
    const id = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    // To the letter, as it was sent: whatever has to be decoded or resolved first is no path of ours.
    const path = (request.url ?? '').split('?', 1)[0]!;
    const { page } = this.options;
    const kind = page?.kindOf(path);
    const route: Route =
      kind === undefined
        ? (ROUTES.find(known => known === path) ?? 'other')
        : kind === 'file'
          ? 'page'
          : 'api';
    const exchange: Exchange = {
      request,
      response,
      id,
      route,
      startedMs: performance.now(),
      isStream: false,
    };
    response.setHeader('X-Request-Id', id);
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-store');
    response.once('close', () => this.finished(exchange));
    try {
      const refusal =
        kind === undefined
          ? (this.refusalOf(exchange) ?? (await this.answer(exchange)))
          : await this.answerPage(exchange, page!, path);
      if (refusal !== undefined) this.refuse(exchange, refusal);
    } catch (error) {
      this.options.logger.error({ err: error, requestId: id }, 'a request failed without a code');
      if (response.headersSent) response.destroy();
      else this.refuse(exchange, internal());
    }
  }

  /** What can be said of a request by its headers alone. */
  private refusalOf(exchange: Exchange): Refusal | undefined {
    const { request, route } = exchange;
    const { host, origin } = request.headersDistinct;
    if (!this.names.isHost(host)) return forbidden('HOST_FORBIDDEN');
    if (!this.names.isOrigin(origin)) return forbidden('ORIGIN_FORBIDDEN');
    if (route === 'other')
      return badRequest(
        404,
        'there is nothing at this path',
        `There are ${ROUTES.join(', ')}${this.options.page === undefined ? '' : ', and the page at /'}.`,
      );
    const methods = route === '/mcp' ? ['POST', 'GET', 'DELETE'] : ['GET', 'HEAD'];
    if (!methods.includes(request.method ?? '')) {
      const refusal = badRequest(405, 'this path has no such method', `It takes ${methods.join(', ')}.`);
      return { ...refusal, headers: { Allow: methods.join(', ') } };
    }
    const isPublic =
      route === '/ready' || (route === '/health' && request.headers.authorization === undefined);
    if (isPublic) return undefined;
    const token = this.tokenOf(request);
    if (token === undefined) {
      const waitS = this.failures.take(request.socket.remoteAddress ?? '');
      return waitS > 0 ? rateLimited(waitS) : unauthorized(request.headers.authorization !== undefined);
    }
    exchange.token = token;
    if (this.isDraining) return shuttingDown();
    const waitS = this.rate.take(token.name);
    return waitS > 0 ? rateLimited(waitS) : undefined;
  }

  private tokenOf({ headersDistinct }: IncomingMessage): Token | undefined {
    const [header, ...more] = headersDistinct.authorization ?? [];
    const [, presented] = /^bearer ([^\s]+)$/i.exec(header ?? '') ?? [];
    return presented === undefined || more.length > 0 ? undefined : this.options.tokens.find(presented);
  }

  private async answer(exchange: Exchange): Promise<Refusal | undefined> {
    const { route, response } = exchange;
    switch (route) {
      case '/health':
        return this.answerHealth(exchange);
      case '/ready': {
        const state = this.isDraining ? 'ending' : (await this.status())?.store.state;
        return this.text(response, state === 'ok' ? 200 : 503, `${state ?? 'the store is not reached'}\n`);
      }
      case '/metrics':
        return this.text(response, 200, await this.metrics.text(), this.metrics.contentType);
      default:
        return this.answerMcp(exchange, exchange.token!);
    }
  }

  /** The level alone, unless a token came along: then the whole report, but for what only the machine's user should see. */
  private async answerHealth({ response, token }: Exchange): Promise<undefined> {
    const report = await this.health(token === undefined ? HEALTH_AGE_MS : REPORT_AGE_MS);
    const status = report === undefined || report.level === 'critical' ? 503 : 200;
    if (token === undefined) return this.text(response, status, `${report?.level ?? 'unknown'}\n`);
    const told = report && { ...report, checks: report.checks.map(({ detail: _, ...check }) => check) };
    return this.text(
      response,
      status,
      `${JSON.stringify(told ?? { level: 'unknown' })}\n`,
      'application/json',
    );
  }

  private async answerPage(exchange: Exchange, page: PageDoor, path: string): Promise<Refusal | undefined> {
    const { request, response, route } = exchange;
    if (!this.names.isHost(request.headersDistinct.host)) return forbidden('HOST_FORBIDDEN');
    if (route === 'page')
      return request.method === 'GET' || request.method === 'HEAD'
        ? page.sendFile(path, request, response)
        : noSuchMethod('GET, HEAD');
    if (request.method !== 'POST') return noSuchMethod('POST');
    const refusal = page.refusalOf(request) ?? this.admitToPage(exchange, page, path);
    if (refusal !== undefined) return refusal;
    if (!isJsonContentType(request.headers['content-type']))
      return badRequest(415, 'the body is not declared as JSON', 'Send Content-Type: application/json.');
    exchange.isStream = page.isWait(path);
    const leave = (exchange.isStream ? this.streamGate : this.gate).enter(exchange.token?.name ?? '');
    if (leave === undefined) return tooBusy('as many requests as the server takes at once are at work');
    try {
      if (request.headers.expect !== undefined) response.writeContinue();
      const body = await readBody(request, MAX_CALL_BYTES, this.bodies);
      if (body.kind !== 'whole')
        return body.kind === 'cut off'
          ? undefined
          : body.kind === 'no room'
            ? tooBusy('the server is taking in as much as it can hold')
            : bodyTooLarge(MAX_CALL_BYTES);
      const parsed = parseJson(body.bytes);
      body.release();
      if (parsed === undefined) return notJson();
      if (exchange.token === undefined) return this.logIn(page, parsed, exchange);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      return await page.call(path, parsed, exchange.token, request, response, gone.signal);
    } finally {
      leave();
      if (this.isDraining && this.gate.size === 0) this.wasIdle();
    }
  }

  /** Whose call it is, where it is not a login, and whether it is one too many. */
  private admitToPage(exchange: Exchange, page: PageDoor, path: string): Refusal | undefined {
    const { request } = exchange;
    if (this.isDraining) return shuttingDown();
    if (page.isLogin(path)) return undefined;
    const token = page.tokenOf(request);
    if (token === undefined) {
      const waitS = this.failures.take(request.socket.remoteAddress ?? '');
      return waitS > 0 ? rateLimited(waitS) : notLoggedIn();
    }
    exchange.token = token;
    const waitS = this.rate.take(token.name);
    return waitS > 0 ? rateLimited(waitS) : undefined;
  }

  /** A wrong code counts as a wrong token does. */
  private logIn(page: PageDoor, body: unknown, { request, response }: Exchange): Refusal | undefined {
    const refusal = page.login(body, request, response);
    if (refusal === undefined) return undefined;
    const waitS = this.failures.take(request.socket.remoteAddress ?? '');
    return waitS > 0 ? rateLimited(waitS) : refusal;
  }

  private text(
    response: ServerResponse,
    status: number,
    text: string,
    type = 'text/plain; charset=utf-8',
  ): undefined {
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
    response.end(response.req.method === 'HEAD' ? undefined : text);
  }

  private async answerMcp(exchange: Exchange, token: Token): Promise<Refusal | undefined> {
    const { request, response } = exchange;
    if (request.method !== 'POST') {
      // Such requests have none; what is sent all the same is not waited for.
      request.resume();
      return this.enter(exchange, token, undefined);
    }
    if (!isJsonContentType(request.headers['content-type']))
      return badRequest(415, 'the body is not declared as JSON', 'Send Content-Type: application/json.');
    if (request.headers.expect !== undefined) response.writeContinue();
    const body = await readBody(request, this.options.limits.maxBodyBytes, this.bodies);
    switch (body.kind) {
      case 'too large':
        return bodyTooLarge(this.options.limits.maxBodyBytes);
      case 'no room':
        return tooBusy('the server is taking in as much as it can hold');
      case 'cut off':
        return undefined;
      case 'whole':
    }
    try {
      const parsed = parseJson(body.bytes);
      if (parsed === undefined) return notJson();
      exchange.rpcId = idOf(parsed);
      return await this.enter(exchange, token, parsed);
    } finally {
      body.release();
    }
  }

  private async enter(exchange: Exchange, token: Token, body: unknown): Promise<Refusal | undefined> {
    exchange.isStream = isStream(exchange.request.method ?? '', body);
    const leave = (exchange.isStream ? this.streamGate : this.gate).enter(token.name);
    if (leave === undefined)
      return exchange.isStream
        ? tooBusy('this token has as many event streams open as it may')
        : tooBusy('as many requests as the server takes at once are at work');
    const { request, response, id } = exchange;
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    const watch = exchange.isStream
      ? setInterval(() => this.endRevoked(response, token), WATCH_MS).unref()
      : undefined;
    try {
      const answer = await this.door.handle(webRequest(request, id, gone.signal), body, token);
      if (!(answer instanceof Response)) return answer;
      if (this.isDraining) response.setHeader('Connection', 'close');
      await sendResponse(answer, response);
      return undefined;
    } finally {
      clearInterval(watch);
      leave();
      if (this.isDraining && this.gate.size === 0) this.wasIdle();
    }
  }

  /** Who may ask nothing any more must not hear on, either. */
  private endRevoked(response: ServerResponse, token: Token): void {
    if (!this.options.tokens.isValid(token)) response.destroy();
  }

  private refuse(exchange: Exchange, refusal: Refusal): void {
    const { request, response, route } = exchange;
    if (response.headersSent || response.destroyed) return;
    exchange.code = refusal.error.code;
    this.metrics.onRefusal(refusal.error.code);
    const body = route === '/mcp' ? rpcBody(refusal, exchange.rpcId) : plainBody(refusal);
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
  }

  private finished(exchange: Exchange): void {
    const { request, response, route, startedMs, token, isStream: isOpenEnded, id, code } = exchange;
    const seconds = (performance.now() - startedMs) / 1000;
    const status = response.writableFinished ? response.statusCode : 499;
    this.metrics.onRequest(route, request.method ?? '', status, isOpenEnded ? undefined : seconds);
    const line = {
      requestId: id,
      method: request.method,
      route,
      status,
      durationMs: Math.round(seconds * 1000),
      ...(token !== undefined && { token: token.name }),
      ...(code !== undefined && { code }),
    };
    // Probes come every few seconds, and would fill the log.
    const isProbe = route === '/health' || route === '/ready';
    this.options.logger[isProbe ? 'debug' : 'info'](line, 'request');
  }

  private status(): Promise<StatusAnswer | undefined> {
    return this.told(() => this.options.status());
  }

  private health(maxAgeMs: number): Promise<HealthAnswer | undefined> {
    return this.told(() => this.options.health(maxAgeMs));
  }

  /** What the store says, or undefined where it does not answer, or not in time. */
  private async told<T>(ask: () => Promise<T>): Promise<T | undefined> {
    const late = new Promise<undefined>(resolve => setTimeout(() => resolve(undefined), STATUS_MS).unref());
    try {
      return await Promise.race([ask(), late]);
    } catch (error) {
      this.options.logger.debug({ err: error }, 'the store does not tell its state');
      return undefined;
    }
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** What is not HTTP, or too slow, or too much of it, gets the shortest answer there is. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function internal(): Refusal {
  const error = new CodedError(
    'INTERNAL',
    'the request failed in a way there is no code for',
    'Look into the server’s log, by the X-Request-Id of this answer, and report it.',
  );
  return { status: 500, rpcCode: -32_603, error };
}

function unavailable(host: string, port: number, error: NodeJS.ErrnoException): CodedError {
  const what = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message;
  return new CodedError(
    'ADDRESS_UNAVAILABLE',
    `cannot listen on ${host} port ${port}: ${what}`,
    'Choose another with --port, or end what has it.',
    { cause: error },
  );
}
