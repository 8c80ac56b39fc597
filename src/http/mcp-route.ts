/** Requests at /mcp that were let in: their body, a place among the others, then the door. */
import type { ServerResponse } from 'node:http';
import type { Admission } from './admission.js';
import { type Door, idOf, isStream } from './door.js';
import type { Exchange } from './exchange.js';
import { readJson, undeclaredJson } from './json-body.js';
import { type Refusal, tooBusy } from './refusals.js';
import type { Token } from './tokens.js';
import { sendResponse, webRequest } from './web.js';
import type { Workload } from './workload.js';

/** How soon a stream ends whose token was revoked. */
const WATCH_MS = 5_000;

export interface McpRouteOptions {
  readonly door: Door;
  readonly admission: Admission;
  readonly workload: Workload;
  /** Of one request's body. */
  readonly maxBodyBytes: number;
}

export class McpRoute {
  constructor(private readonly options: McpRouteOptions) {}

  async answer(exchange: Exchange, token: Token): Promise<Refusal | undefined> {
    const { request, response } = exchange;
    const { workload, maxBodyBytes } = this.options;
    if (request.method !== 'POST') {
      // Such requests have none; what is sent all the same is not waited for.
      request.resume();
      return this.enter(exchange, token, undefined);
    }
    const undeclared = undeclaredJson(request);
    if (undeclared !== undefined) return undeclared;
    const body = await readJson(request, response, maxBodyBytes, workload.bodies);
    if ('refusal' in body) return body.refusal;
    try {
      exchange.rpcId = idOf(body.value);
      return await this.enter(exchange, token, body.value);
    } finally {
      body.release();
    }
  }

  private async enter(exchange: Exchange, token: Token, body: unknown): Promise<Refusal | undefined> {
    const { door, workload } = this.options;
    exchange.isStream = isStream(exchange.request.method ?? '', body);
    const leave = workload.enter(token.name, exchange.isStream);
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
      const answer = await door.handle(webRequest(request, id, gone.signal), body, token);
      if (!(answer instanceof Response)) return answer;
      if (workload.isDraining) response.setHeader('Connection', 'close');
      await sendResponse(answer, response);
      return undefined;
    } finally {
      clearInterval(watch);
      leave();
    }
  }

  /** Who may ask nothing any more must not hear on, either. */
  private endRevoked(response: ServerResponse, token: Token): void {
    if (!this.options.admission.isValid(token)) response.destroy();
  }
}
