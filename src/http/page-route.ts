/** Requests for the page: its files are anybody's, its calls a session's. */
import type { Admission } from './admission.js';
import type { Exchange } from './exchange.js';
import { readJson, undeclaredJson } from './json-body.js';
import { MAX_CALL_BYTES, noSuchMethod, notLoggedIn, type PageDoor } from './page/door.js';
import { type Refusal, shuttingDown, tooBusy } from './refusals.js';
import type { Workload } from './workload.js';

export interface PageRouteOptions {
  readonly page: PageDoor;
  readonly admission: Admission;
  readonly workload: Workload;
}

export class PageRoute {
  constructor(private readonly options: PageRouteOptions) {}

  async answer(exchange: Exchange, path: string): Promise<Refusal | undefined> {
    const { page, admission, workload } = this.options;
    const { request, response, route } = exchange;
    const strange = admission.strangeHost(request);
    if (strange !== undefined) return strange;
    if (route === 'page')
      return request.method === 'GET' || request.method === 'HEAD'
        ? page.sendFile(path, request, response)
        : noSuchMethod('GET, HEAD');
    if (request.method !== 'POST') return noSuchMethod('POST');
    const refusal = page.refusalOf(request) ?? this.refusalOf(exchange, path) ?? undeclaredJson(request);
    if (refusal !== undefined) return refusal;
    exchange.isStream = page.isWait(path);
    const leave = workload.enter(exchange.token?.name ?? '', exchange.isStream);
    if (leave === undefined) return tooBusy('as many requests as the server takes at once are at work');
    try {
      const body = await readJson(request, response, MAX_CALL_BYTES, workload.bodies);
      if ('refusal' in body) return body.refusal;
      body.release();
      if (exchange.token === undefined) return this.logIn(body.value, exchange);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      return await page.call(path, body.value, exchange.token, request, response, gone.signal);
    } finally {
      leave();
    }
  }

  /** Whose call it is, where it is not a login, and whether it is one too many. */
  private refusalOf(exchange: Exchange, path: string): Refusal | undefined {
    const { page, admission, workload } = this.options;
    const { request } = exchange;
    if (workload.isDraining) return shuttingDown();
    if (page.isLogin(path)) return undefined;
    const token = page.tokenOf(request);
    if (token === undefined) return admission.failed(request, notLoggedIn());
    exchange.token = token;
    return admission.tooOften(token);
  }

  /** A wrong code counts as a wrong token does. */
  private logIn(body: unknown, { request, response }: Exchange): Refusal | undefined {
    const { page, admission } = this.options;
    const refusal = page.login(body, request, response);
    return refusal && admission.failed(request, refusal);
  }
}
