/** The HTTP server: what every request meets, in order, before the door and after it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CodedError } from '../domain/errors.js';
import { Admission } from './admission.js';
import { Door, type DoorOptions } from './door.js';
import { Exchange } from './exchange.js';
import { Listener, type ListenerOptions } from './listener.js';
import { McpRoute } from './mcp-route.js';
import { type Metrics, ROUTES, type Route } from './metrics.js';
import type { NamesOptions } from './names.js';
import type { PageDoor } from './page/door.js';
import { PageRoute } from './page-route.js';
import { Probes, type ProbesOptions } from './probes.js';
import { badRequest, type Refusal, shuttingDown, unauthorized } from './refusals.js';
import type { TokenBook } from './token-book.js';
import { Workload, type WorkloadLimits } from './workload.js';

export interface Limits extends WorkloadLimits {
  /** Of one request's body. */
  readonly maxBodyBytes: number;
  /** Requests a second of one token, with as many again at once; 0 for no limit. */
  readonly ratePerSecond: number;
}

export const DEFAULT_LIMITS: Limits = {
  // As much as over stdio.
  maxBodyBytes: 10 * 1024 * 1024,
  ratePerSecond: 100,
  concurrency: 64,
  streams: 64,
};

export interface HttpServerOptions extends NamesOptions, ListenerOptions, ProbesOptions {
  readonly limits: Limits;
  readonly tokens: TokenBook;
  readonly createServer: DoorOptions['createServer'];
  /** See DoorOptions. */
  readonly door?: Pick<DoorOptions, 'bus' | 'scopeOfCall' | 'sessions'>;
  readonly metrics: (gauges: ConstructorParameters<typeof Metrics>[0]) => Metrics;
  /** What is at / and below /api/. Default: nothing is. */
  readonly page?: PageDoor;
}

export class HttpServer {
  readonly door: Door;
  private readonly listener: Listener;
  private readonly admission: Admission;
  private readonly workload: Workload;
  private readonly probes: Probes;
  private readonly metrics: Metrics;
  private readonly mcp: McpRoute;
  private readonly page: PageRoute | undefined;

  constructor(private readonly options: HttpServerOptions) {
    const { limits, tokens, logger, page, createServer } = options;
    const { maxBodyBytes, ratePerSecond } = limits;
    const admission = new Admission(options, tokens, ratePerSecond);
    const workload = new Workload(limits);
    this.admission = admission;
    this.workload = workload;
    this.door = new Door({
      createServer,
      isValid: token => tokens.isValid(token),
      onError: error => logger.debug({ error: error.name }, 'a request was refused by the protocol'),
      ...options.door,
    });
    this.probes = new Probes(options);
    this.metrics = options.metrics({
      inFlight: () => workload.requests,
      streams: () => workload.streams,
      sessions: () => this.door.sessionCount,
      status: () => this.probes.status(),
      health: () => this.probes.health(),
    });
    this.mcp = new McpRoute({ door: this.door, admission, workload, maxBodyBytes });
    this.page = page && new PageRoute({ page, admission, workload });
    this.listener = new Listener(options, (request, response) => void this.serve(request, response));
  }

  /** How many tokens there are. */
  get tokenCount(): number {
    return this.options.tokens.size;
  }

  /** Begins to listen. @returns the address, with the port that was free @throws CodedError ADDRESS_UNAVAILABLE */
  listen(): Promise<AddressInfo> {
    return this.listener.listen();
  }

  /**
   * Takes no new work, lets what is at work end, and is gone. Streams that only wait are ended at once.
   * @param graceMs how long answers on their way may take
   */
  async close(graceMs: number): Promise<void> {
    this.workload.drain();
    const closed = this.listener.stop();
    this.door.endStreams();
    this.options.page?.endWaits();
    await this.workload.idle(graceMs);
    await this.door.close();
    // What the last streams were told is on its way.
    await new Promise(resolve => setImmediate(resolve));
    await this.listener.end(closed, Math.min(graceMs, 1_000));
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // To the letter, as it was sent: whatever has to be decoded or resolved first is no path of ours.
    const path = (request.url ?? '').split('?', 1)[0]!;
    const exchange = new Exchange(request, response, this.routeOf(path));
    response.once('close', () => this.finished(exchange));
    try {
      const refusal = await this.answer(exchange, path);
      if (refusal !== undefined) this.refuse(exchange, refusal);
    } catch (error) {
      this.options.logger.error({ err: error, requestId: exchange.id }, 'a request failed without a code');
      if (response.headersSent) response.destroy();
      else this.refuse(exchange, internal());
    }
  }

  private routeOf(path: string): Route {
    const kind = this.options.page?.kindOf(path);
    if (kind === undefined) return ROUTES.find(known => known === path) ?? 'other';
    return kind === 'file' ? 'page' : 'api';
  }

  private async answer(exchange: Exchange, path: string): Promise<Refusal | undefined> {
    const { route } = exchange;
    if (route === 'page' || route === 'api') return this.page!.answer(exchange, path);
    const refusal = this.refusalOf(exchange);
    if (refusal !== undefined) return refusal;
    switch (route) {
      case '/health':
        return this.probes.answerHealth(exchange);
      case '/ready':
        return this.probes.answerReady(exchange, this.workload.isDraining);
      case '/metrics':
        return this.probes.answerMetrics(exchange, this.metrics);
      default:
        return this.mcp.answer(exchange, exchange.token!);
    }
  }

  /** What can be said of a request by its headers alone. */
  private refusalOf(exchange: Exchange): Refusal | undefined {
    const { request, route } = exchange;
    const { admission } = this;
    const strange = admission.strangeHost(request) ?? admission.strangeOrigin(request);
    if (strange !== undefined) return strange;
    if (route === 'other')
      return badRequest(
        404,
        'there is nothing at this path',
        `There are ${ROUTES.join(', ')}${this.page === undefined ? '' : ', and the page at /'}.`,
      );
    const methods = route === '/mcp' ? ['POST', 'GET', 'DELETE'] : ['GET', 'HEAD'];
    if (!methods.includes(request.method ?? '')) {
      const refusal = badRequest(405, 'this path has no such method', `It takes ${methods.join(', ')}.`);
      return { ...refusal, headers: { Allow: methods.join(', ') } };
    }
    const isPublic =
      route === '/ready' || (route === '/health' && request.headers.authorization === undefined);
    if (isPublic) return undefined;
    const token = admission.bearerOf(request);
    if (token === undefined)
      return admission.failed(request, unauthorized(request.headers.authorization !== undefined));
    exchange.token = token;
    if (this.workload.isDraining) return shuttingDown();
    return admission.tooOften(token);
  }

  private refuse(exchange: Exchange, refusal: Refusal): void {
    if (exchange.refuse(refusal)) this.metrics.onRefusal(refusal.error.code);
  }

  private finished(exchange: Exchange): void {
    const { request, route, status, seconds, token, isStream: isOpenEnded, id, code } = exchange;
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
}

function internal(): Refusal {
  const error = new CodedError(
    'INTERNAL',
    'the request failed in a way there is no code for',
    'Look into the server’s log, by the X-Request-Id of this answer, and report it.',
  );
  return { status: 500, rpcCode: -32_603, error };
}
