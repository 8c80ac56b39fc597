/** The socket that requests come by, and what it lets nobody do to it: too many connections, too slow requests, too much of a header. */
import {
  createServer,
  type IncomingMessage,
  type Server as NodeServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { CodedError } from '../domain/errors.js';
import type { Logger } from '../log.js';

export interface ListenerOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM; without it the server speaks plain HTTP. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly logger: Logger;
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

export class Listener {
  private readonly server: NodeServer;

  constructor(
    private readonly options: ListenerOptions,
    onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  ) {
    const { tls, timeouts } = options;
    const settings = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: timeouts?.headersMs ?? HEADERS_MS,
      requestTimeout: timeouts?.requestMs ?? REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
    };
    this.server =
      tls === undefined
        ? createServer(settings, onRequest)
        : createTlsServer({ ...settings, ...tls, minVersion: 'TLSv1.2' }, onRequest);
    this.server.maxConnections = MAX_CONNECTIONS;
    this.server.on('clientError', answerMalformed);
    // A client that waits for leave to send its body is judged by its headers first.
    this.server.on('checkContinue', onRequest);
  }

  /** Begins to listen. @returns the address, with the port that was free @throws CodedError ADDRESS_UNAVAILABLE */
  async listen(): Promise<AddressInfo> {
    const { host, port, logger } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', error => reject(unavailable(host, port, error)));
      this.server.listen({ host, port, backlog: BACKLOG }, resolve);
    });
    this.server.removeAllListeners('error');
    this.server.on('error', error => logger.error({ err: error }, 'the HTTP server failed'));
    return this.server.address() as AddressInfo;
  }

  /** Takes no more connections, and ends those that are idle. @returns what resolves when there is none any more */
  stop(): Promise<void> {
    const closed = new Promise<void>(resolve => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    return closed;
  }

  /** Ends the idle connections at once, the others after a while. @param closed what `stop` answered */
  async end(closed: Promise<void>, graceMs: number): Promise<void> {
    this.server.closeIdleConnections();
    const lastBytes = setTimeout(() => this.server.closeAllConnections(), graceMs);
    await closed;
    clearTimeout(lastBytes);
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

function unavailable(host: string, port: number, error: NodeJS.ErrnoException): CodedError {
  const what = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message;
  return new CodedError(
    'ADDRESS_UNAVAILABLE',
    `cannot listen on ${host} port ${port}: ${what}`,
    'Choose another with --port, or end what has it.',
    { cause: error },
  );
}
